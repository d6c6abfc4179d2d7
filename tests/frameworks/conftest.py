"""Django, set up once."""

from __future__ import annotations

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for tests", ALLOWED_HOSTS=["*"], MIDDLEWARE=["sonas_supabase.django.CreditsProblems"],
        ROOT_URLCONF="tests.frameworks.test_django", DATABASES={}, INSTALLED_APPS=[], LOGGING_CONFIG=None,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )  # fmt: skip
    django.setup()
