"""Fits policies by the names of their rules, to finished bundles as well."""
