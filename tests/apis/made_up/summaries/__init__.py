"""An API that no server has: texts are summed up."""
