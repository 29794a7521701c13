from django.urls import path

from dashboard.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.ledger_list, name="list"),
    path("<int:number>/", views.ledger_entry, name="entry"),
]
