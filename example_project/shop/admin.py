"""Orders in the admin: save one, and watch its webhook arrive."""

from django.contrib import admin

from example_project.shop.models import Category, Customer, Order, Product


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["number", "status", "total", "placed_at"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["sku", "name", "price", "archived_at"]


admin.site.register([Category, Customer])
