"""The template as one stack on an AWS of this machine: deployed, on its schedules, and when something fails."""
