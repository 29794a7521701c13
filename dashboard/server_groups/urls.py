from django.urls import path, register_converter
from django.urls.converters import StringConverter

from dashboard.server_groups import editing, list_views, load_views, views


class GroupIdConverter(StringConverter):
    """Any text without a NUL character, which PostgreSQL cannot compare."""

    regex = r"[^/\x00]+"


register_converter(GroupIdConverter, "group")

app_name = "server-groups"
urlpatterns = [
    path("", list_views.server_group_list, name="list"),
    path("counts/", list_views.server_group_counts, name="counts"),
    path("refresh/", list_views.server_group_refresh, name="refresh"),
    path("copy-age/", list_views.server_group_copy_age, name="copy-age"),
    path("images/", editing.image_choices, name="images"),
    path("disk-types/", editing.disk_type_choices, name="disk-types"),
    path("cloud-check/", views.cloud_check, name="cloud-check"),
    path("<group:group_id>/", views.server_group_detail, name="detail"),
    path("<group:group_id>/load/", load_views.server_group_load, name="load"),
    path("<group:group_id>/load.csv", load_views.load_export, name="load-export"),
    path("<group:group_id>/edit/", editing.server_group_edit, name="edit"),
    path("<group:group_id>/edit/review/", editing.server_group_review, name="review"),
    path("<group:group_id>/edit/name/", editing.name_check, name="name-check"),
    path("<group:group_id>/switch/", views.server_group_switch, name="switch"),
    path("<group:group_id>/changes/<int:number>/settle/", views.change_settle, name="settle"),
]
