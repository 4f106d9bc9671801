"""Addresses of the ground floor's customer pages: references and numbers only, never a name or an address."""

from __future__ import annotations

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("invoices/", views.invoices, name="invoices"),
    path("invoices/<slug:number>/", views.invoice, name="invoice"),
    path("invoices/<slug:number>/pay/", views.invoice_pay, name="invoice_pay"),
    path("tickets/", views.tickets, name="tickets"),
    path("tickets/<slug:reference>/", views.ticket, name="ticket"),
    path("tickets/<slug:reference>/settle/", views.ticket_settle, name="ticket_settle"),
    path("help/", views.help_page, name="help"),
]
