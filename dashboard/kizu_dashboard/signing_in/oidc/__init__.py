"""Signing in with an account of the company's sign-in service: OpenID Connect's authorization code flow with PKCE."""
