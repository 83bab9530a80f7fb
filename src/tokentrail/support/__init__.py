"""What every layer stands on and that knows none of them: the guard, forks, lean records."""
