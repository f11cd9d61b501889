"""What the launcher of the flex template "sweep" runs."""

from pipeline.cli import launch

if __name__ == "__main__":
    launch.main("sweep")
