from django.urls import path

from dashboard.activity import views

app_name = "activity"
urlpatterns = [
    path("", views.ledger_list, name="list"),
    path("system/", views.system_events, name="system"),
    path("attention/", views.needs_attention, name="attention"),
    path("export.<str:suffix>", views.ledger_export, name="export"),
    path("<int:number>/", views.ledger_entry, name="entry"),
]
