"""Contacts, their addresses, and how the account is billed (P2, P4).

Everything is looked up among what the signed-in member may read: what belongs to somebody else is not there (404),
like what never was. GET changes nothing; a POST that did something redirects.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from accounts import contacts as acts
from accounts import members
from accounts.countries import NAMES
from accounts.doors import account_of, customer, customer_page, for_roles
from accounts.members import Part
from accounts.models import Address, BillingProfile, Contact
from accounts.people_forms import CONTACT_ROLES, AddressForm, BillingForm, ContactForm
from accounts.phones import shown_phone

ENTRIES_A_PAGE = 10


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def contacts(request: HttpRequest) -> HttpResponse:
    """Show the contacts with their addresses, the owner contact first, and how the account is billed."""
    own = Prefetch("addresses", Address.objects.filter(removed_at=None).order_by("created_at", "pk"))
    found = acts.visible(customer(request)).prefetch_related(own).order_by("created_at", "pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    profile = BillingProfile.objects.filter(account=account_of(request)).first() or BillingProfile()
    rows = [
        {
            "contact": contact,
            "phone": shown_phone(contact.phone),
            "addresses": [
                {"address": address, "country": NAMES.get(address.country, address.country)}
                for address in contact.addresses.all()
            ],
        }
        for contact in page.object_list
    ]
    return render(request, "accounts/contacts/list.html", {"page": page, "rows": rows, "profile": profile})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def contact_add(request: HttpRequest) -> HttpResponse:
    """Add a contact."""
    form = ContactForm(request.POST or None, roles=_roles(request))
    if request.method == "POST" and form.is_valid():
        account_id, submission = account_of(request).pk, form.cleaned_data["submission"]
        acts.add(account_id, by=customer(request), facts=form.facts(), submission=submission)
        messages.success(request, _("The contact is saved."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/edit.html", {"form": form, "contact": None})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def contact(request: HttpRequest, contact: UUID) -> HttpResponse:
    """Show one contact to edit, and save it."""
    found = _contact(request, contact)
    country = acts.country_of(found)
    form = ContactForm(request.POST or None, contact=found, country=country, roles=_roles(request))
    if request.method == "POST" and form.is_valid():
        acts.change(found.pk, by=customer(request), facts=form.facts())
        messages.success(request, _("The contact is saved."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/edit.html", {"form": form, "contact": found})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def contact_remove(request: HttpRequest, contact: UUID) -> HttpResponse:
    """Ask once, and remove a contact."""
    found = _contact(request, contact)
    if request.method == "POST":
        acts.remove(found.pk, by=customer(request))
        messages.success(request, _("The contact is removed."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/remove.html", {"contact": found, "address": None})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def address_add(request: HttpRequest, contact: UUID) -> HttpResponse:
    """Give a contact an address."""
    found = _contact(request, contact)
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        submission = form.cleaned_data["submission"]
        acts.add_address(found.pk, by=customer(request), place=form.place(), submission=submission)
        messages.success(request, _("The address is saved."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/address.html", {"form": form, "contact": found, "address": None})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def address(request: HttpRequest, contact: UUID, address: UUID) -> HttpResponse:
    """Show one address to edit, and save it."""
    found = _address(request, contact, address)
    form = AddressForm(request.POST or None, address=found)
    if request.method == "POST" and form.is_valid():
        acts.change_address(found.pk, by=customer(request), place=form.place())
        messages.success(request, _("The address is saved."))
        return redirect("accounts:contacts")
    context = {"form": form, "contact": found.contact, "address": found}
    return render(request, "accounts/contacts/address.html", context)


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def address_remove(request: HttpRequest, contact: UUID, address: UUID) -> HttpResponse:
    """Ask once, and remove an address."""
    found = _address(request, contact, address)
    if request.method == "POST":
        acts.remove_address(found.pk, by=customer(request))
        messages.success(request, _("The address is removed."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/remove.html", {"contact": found.contact, "address": found})


@customer_page
@for_roles(Part.BILLING_CONTACTS)
def billing(request: HttpRequest) -> HttpResponse:
    """Show how the account is billed, and save it."""
    profile = BillingProfile.objects.filter(account=account_of(request)).first()
    form = BillingForm(request.POST or None, profile=profile)
    if request.method == "POST" and form.is_valid():
        acts.set_billing(account_of(request).pk, by=customer(request), billing=form.billing())
        messages.success(request, _("How we bill you is saved."))
        return redirect("accounts:contacts")
    return render(request, "accounts/contacts/billing.html", {"form": form})


def _contact(request: HttpRequest, pk: UUID) -> Contact:
    return get_object_or_404(acts.visible(customer(request)), pk=pk)


def _address(request: HttpRequest, contact: UUID, pk: UUID) -> Address:
    found = Address.objects.select_related("contact").filter(removed_at=None)
    return get_object_or_404(found, pk=pk, contact=_contact(request, contact))


def _roles(request: HttpRequest) -> list[str]:
    """Return the roles a contact may get from this member."""
    if members.may_open(customer(request), Part.CONTACTS):
        return [role for role, _label in CONTACT_ROLES]
    return [Contact.Role.BILLING.value]
