"""The addresses of the REST API and of its documentation, which is public and names no secret."""

from __future__ import annotations

from csp.decorators import csp_update
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts import api_schema  # noqa: F401 - registers the token's scheme
from accounts.api_invoices import Invoices
from accounts.api_orders import PlaceOrder, ReadOrder
from retention.api import CloseDispute, OpenDispute

app_name = "api"

# Its stylesheet draws small pictures from data addresses; nothing else is widened.
docs = csp_update({"img-src": ["data:"]})(
    SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api/docs.html", authentication_classes=[])
)
urlpatterns = [
    path("v1/disputes/", OpenDispute.as_view(), name="open_dispute"),
    path("v1/disputes/close/", CloseDispute.as_view(), name="close_dispute"),
    path("v1/orders/", PlaceOrder.as_view(), name="place_order"),
    path("v1/orders/<slug:reference>/", ReadOrder.as_view(), name="read_order"),
    path("v1/invoices/", Invoices.as_view(), name="invoices"),
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[]), name="schema"),
    path("docs/", docs, name="docs"),
]
