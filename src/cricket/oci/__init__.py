"""The OCI side: runtime specs by pure functions, what they need to know of host and image, bundles, crun and runc."""
