"""Pictures of the dashboards, drawn by Grafana's own components; see :mod:`tools.draw.__main__`."""
