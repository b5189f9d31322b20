"""Signatures of the sender's domain (DKIM, RFC 6376, RFC 8463): what is signed, with which key, and how."""
