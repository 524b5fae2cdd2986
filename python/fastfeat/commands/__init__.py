"""What the command `fastfeat` does, one file a verb. They return exit codes and are the only room that prints."""
