"""The configuration. What differs from one machine to another comes from the environment."""

# TODO 2.1: Set HOST, PORT (the environment's, else 5000), SITE_NAME (the environment's, else
#   "Todo list"), MAX_CONTENT_LENGTH (64 KiB: no request may be larger) and TEMPLATES_AUTO_RELOAD
#   (True: a template that is saved shows at once).
