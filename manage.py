#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.umask(0o077)  # files of this process are for its own user
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    if sys.argv[1:2] == ["simulator"]:
        # The stand-in for the cloud serves nothing of this deployment and needs none of its secrets.
        os.environ.setdefault("STREAMWARDEN_ENV", "development")
    execute_from_command_line(sys.argv)
