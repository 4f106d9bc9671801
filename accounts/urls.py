"""Addresses of the ground floor's customer pages: references and numbers only, never a name or an address."""

from __future__ import annotations

from django.urls import path

from accounts.pages import contacts, email, invoices, members, orders, privacy, security, settings, tickets
from accounts.pages import help as help_pages

app_name = "accounts"
urlpatterns = [
    path("invoices/", invoices.invoices, name="invoices"),
    path("invoices/<slug:number>/", invoices.invoice, name="invoice"),
    path("invoices/<slug:number>/pay/", invoices.invoice_pay, name="invoice_pay"),
    path("invoices/<slug:number>/pdf/", invoices.invoice_pdf, name="invoice_pdf"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<slug:reference>/", orders.order, name="order"),
    path("tickets/", tickets.tickets, name="tickets"),
    path("tickets/<slug:reference>/", tickets.ticket, name="ticket"),
    path("tickets/<slug:reference>/settle/", tickets.ticket_settle, name="ticket_settle"),
    path(".well-known/gpc.json", privacy.gpc, name="gpc"),
    path("contacts/", contacts.contacts, name="contacts"),
    path("contacts/add/", contacts.contact_add, name="contact_add"),
    path("contacts/billing/", contacts.billing, name="billing"),
    path("contacts/<uuid:contact>/", contacts.contact, name="contact"),
    path("contacts/<uuid:contact>/remove/", contacts.contact_remove, name="contact_remove"),
    path("contacts/<uuid:contact>/addresses/add/", contacts.address_add, name="address_add"),
    path("contacts/<uuid:contact>/addresses/<uuid:address>/", contacts.address, name="address"),
    path("contacts/<uuid:contact>/addresses/<uuid:address>/remove/", contacts.address_remove, name="address_remove"),
    path("email/", email.email, name="email"),
    path("email/<uuid:change>/", email.codes, name="email_codes"),
    path("email/<uuid:change>/withdraw/", email.withdraw, name="email_withdraw"),
    path("email/<uuid:change>/stop/", email.stop, name="email_stop"),
    path("members/", members.members, name="members"),
    path("members/leave/", members.leave, name="leave"),
    path("members/<uuid:member>/", members.member, name="member"),
    path("members/<uuid:member>/remove/", members.member_remove, name="member_remove"),
    path("members/invitations/<uuid:invitation>/withdraw/", members.invitation_withdraw, name="invitation_withdraw"),
    path("join/<slug:token>/", members.join, name="join"),
    path("settings/", settings.settings_page, name="settings"),
    path("settings/sessions/", security.sessions, name="sessions"),
    path("settings/sessions/end/", security.session_end, name="session_end"),
    path("help/", help_pages.help_page, name="help"),
    path("accessibility/", help_pages.accessibility, name="accessibility"),
]
