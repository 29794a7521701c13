from django.contrib import admin
from django.urls import path

from dashboard.urls import urlpatterns as ours

urlpatterns = [*ours, path("admin/", admin.site.urls)]
