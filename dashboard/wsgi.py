import os

from django.core.wsgi import get_wsgi_application

os.umask(0o077)  # files of this process are for its own user
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
application = get_wsgi_application()
