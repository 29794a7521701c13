from django.urls import path

from dashboard.server_groups import views

app_name = "server-groups"
urlpatterns = [
    path("", views.server_group_list, name="list"),
    path("counts/", views.server_group_counts, name="counts"),
    path("loads/", views.server_group_loads, name="loads"),
    path("cloud-check/", views.cloud_check, name="cloud-check"),
    path("<str:group_id>/", views.server_group_detail, name="detail"),
    path("<str:group_id>/edit/", views.server_group_edit, name="edit"),
    path("<str:group_id>/switch/", views.server_group_switch, name="switch"),
    path("<str:group_id>/changes/<int:number>/settle/", views.change_settle, name="settle"),
]
