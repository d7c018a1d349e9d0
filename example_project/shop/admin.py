"""Orders in the admin: save one, and watch its webhook arrive."""

from django.contrib import admin

from example_project.shop.models import Order


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["number", "status", "total", "placed_at"]
