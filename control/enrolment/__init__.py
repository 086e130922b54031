"""Enrolment: which accounts take e-billing, how they pay then, and which agent is told of it."""

from control.enrolment.bank_details import BankDetails, BankDetailsRefused, Scheme, read_bank_details, scheme_of
from control.enrolment.enrolment import Change, Enrolment, EnrolmentRefused, Method, Notice, Switches
from control.enrolment.service import Enrolments

__all__ = [
    "BankDetails",
    "BankDetailsRefused",
    "Change",
    "Enrolment",
    "EnrolmentRefused",
    "Enrolments",
    "Method",
    "Notice",
    "Scheme",
    "Switches",
    "read_bank_details",
    "scheme_of",
]
