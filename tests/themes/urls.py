"""The admin, and what a theme needs beside it."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
if "grappelli" in settings.INSTALLED_APPS:
    urlpatterns += [path("grappelli/", include("grappelli.urls"))]
