"""The outbox of alerts: queued with what they tell, sent once only, in words that are true when they are sent."""

from control.alerts.alert import (
    PROVIDER,
    Alert,
    BarConfirmed,
    Enrolled,
    EnrolmentCancelled,
    Finding,
    Fired,
    LimitRaised,
    Medium,
    Occasion,
    Restored,
    State,
)
from control.alerts.courier import Courier
from control.alerts.mail import Mailer, Tls
from control.alerts.situation import OrderNow, Situation

__all__ = [
    "PROVIDER",
    "Alert",
    "BarConfirmed",
    "Courier",
    "Enrolled",
    "EnrolmentCancelled",
    "Finding",
    "Fired",
    "LimitRaised",
    "Mailer",
    "Medium",
    "Occasion",
    "OrderNow",
    "Restored",
    "Situation",
    "State",
    "Tls",
]
