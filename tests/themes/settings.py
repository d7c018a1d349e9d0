"""The settings of the tests, under the skin that the environment names."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS
from tests.themes import THEMES

THEME = os.environ["WEBHOOK_TEST_THEME"]
INSTALLED_APPS = [*THEMES[THEME], *INSTALLED_APPS]
ROOT_URLCONF = "tests.themes.urls"
DATABASES["default"]["NAME"] = DATABASES["default"]["TEST"]["NAME"]
