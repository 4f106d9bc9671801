"""What a customer's system sends for a privacy request and gets back: the words of the Data Rights Protocol."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts import restricting
from accounts.api_parsing import Choice, RefusesUnknownFields
from accounts.datamap import Category
from accounts.safeguards.cards import refuse_card_number
from retention.models.privacy import Reason, Regime, Right, Status
from retention.request_forms import IN_WORDS, LONGEST_DETAILS, OF_CATEGORIES, USES_NAMED

USES = [(use.purpose.value, use.purpose.label) for use in restricting.USES.values()]


class RequestWanted(RefusesUnknownFields):
    """A right that is asked for; which of the other fields there may be follows from it, as on the pages."""

    exercise = Choice(Right.choices, help_text="the right; a deletion begins in the portal instead")
    regime = Choice(Regime.choices, default=Regime.CCPA.value, help_text="the law you are protected by")
    purposes: serializers.ListField = serializers.ListField(
        child=Choice(USES), default=[], max_length=len(USES), help_text="uses to stop: restriction and objection only"
    )
    categories: serializers.ListField = serializers.ListField(
        child=Choice(Category.choices),
        default=[],
        max_length=len(Category),
        help_text="data it is about, all of it if none is named: access, portability and rectification only",
    )
    details = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=LONGEST_DETAILS,
        validators=[refuse_card_number],
        help_text="in your own words; rectification and complaint need them",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the fields; raise ValidationError for one that the right needs, or does not have."""
        right, wrong = attrs["exercise"], {}
        if right in USES_NAMED and not attrs["purposes"]:
            wrong["purposes"] = "Name at least one use of your data that has to stop."
        if right not in USES_NAMED and attrs["purposes"]:
            wrong["purposes"] = "This right names no uses. Leave them out."
        if right not in OF_CATEGORIES and attrs["categories"]:
            wrong["categories"] = "This right is about no kind of data. Leave it out."
        if right in IN_WORDS and not attrs["details"].strip():
            wrong["details"] = "Write what you want us to do."
        # A deletion is answered with the page it begins on, whatever else is sent.
        if wrong and right != Right.DELETION:
            raise serializers.ValidationError(wrong)
        return attrs


class RequestStanding(serializers.Serializer[Any]):
    """How a request stands."""

    request_id = serializers.UUIDField()
    reference = serializers.CharField()
    exercise = serializers.ChoiceField(Right.choices)
    regime = serializers.ChoiceField(Regime.choices)
    status = serializers.ChoiceField(Status.choices)
    reason = serializers.ChoiceField(Reason.choices, allow_null=True)
    submitted_time = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    expected_by = serializers.DateTimeField(help_text="by when the law wants it answered")
    expires_at = serializers.DateTimeField(allow_null=True)
    processing_details = serializers.CharField()
    results_url = serializers.URLField(allow_null=True, help_text="the page of the portal that shows the result")


class RequestShown(RequestStanding):
    """A request with what was asked and answered, as long as its words are kept."""

    purposes = serializers.ListField(child=serializers.ChoiceField(USES))
    categories = serializers.ListField(child=serializers.ChoiceField(Category.choices))
    details = serializers.CharField(help_text="your words")
    answer = serializers.CharField(help_text="our answer")
