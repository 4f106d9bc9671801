"""The addresses of the REST API and of its documentation, which is public and names no secret."""

from __future__ import annotations

from csp.decorators import csp_update
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts import api_schema  # noqa: F401 - registers the token's scheme
from accounts.api_accounts import ReadAccount, RegisterAccount
from accounts.api_invoices import Invoices
from accounts.api_me import ListData, ReadData, ReadMe, Schedule
from accounts.api_orders import PlaceOrder, ReadOrder
from accounts.api_services import Addresses, EndAddress, Services
from disclosures.api_consents import Consents, WithdrawConsent
from disclosures.api_reports import ReadReport, ReportAbuse, ReportCopyright, ReportXArf
from retention import promising, schedule
from retention.api import CloseDispute, OpenDispute
from retention.api_exports import Exports, OneExport
from retention.api_requests import OneRequest, Requests, WithdrawRequest

app_name = "api"

# Its stylesheet draws small pictures from data addresses; nothing else is widened.
docs = csp_update({"img-src": ["data:"]})(
    SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api/docs.html", authentication_classes=[])
)
# What the customers' own API says of time stands in the schedule, above the room its views are in.
by_schedule = Schedule(schedule.cutoffs, promising.kept)
urlpatterns = [
    path("v1/me/", ReadMe.as_view(), name="read_me"),
    path("v1/data/", ListData.as_view(schedule=by_schedule), name="list_data"),
    path("v1/data/<slug:category>/", ReadData.as_view(schedule=by_schedule), name="read_data"),
    path("v1/exports/", Exports.as_view(), name="exports"),
    path("v1/exports/<slug:reference>/", OneExport.as_view(), name="export"),
    path("v1/requests/", Requests.as_view(), name="requests"),
    path("v1/requests/<slug:reference>/", OneRequest.as_view(), name="request"),
    path("v1/requests/<slug:reference>/withdraw/", WithdrawRequest.as_view(), name="withdraw_request"),
    path("v1/consents/", Consents.as_view(), name="consents"),
    path("v1/consents/<slug:reference>/withdraw/", WithdrawConsent.as_view(), name="withdraw_consent"),
    path("v1/accounts/", RegisterAccount.as_view(), name="register_account"),
    path("v1/accounts/<slug:number>/", ReadAccount.as_view(), name="read_account"),
    path("v1/disputes/", OpenDispute.as_view(), name="open_dispute"),
    path("v1/disputes/close/", CloseDispute.as_view(), name="close_dispute"),
    path("v1/orders/", PlaceOrder.as_view(), name="place_order"),
    path("v1/orders/<slug:reference>/", ReadOrder.as_view(), name="read_order"),
    path("v1/invoices/", Invoices.as_view(), name="invoices"),
    path("v1/reports/", ReportAbuse.as_view(), name="report_abuse"),
    path("v1/reports/copyright/", ReportCopyright.as_view(), name="report_copyright"),
    path("v1/reports/x-arf/", ReportXArf.as_view(), name="report_x_arf"),
    path("v1/reports/<uuid:report>/", ReadReport.as_view(), name="read_report"),
    path("v1/services/", Services.as_view(), name="services"),
    path("v1/services/<uuid:service>/addresses/", Addresses.as_view(), name="service_addresses"),
    path("v1/addresses/<uuid:assignment>/end/", EndAddress.as_view(), name="end_address"),
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[]), name="schema"),
    path("docs/", docs, name="docs"),
]
