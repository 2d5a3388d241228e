#!/usr/bin/env bash
# Make the files of secrets that docker-compose.yml names; what exists stays as it is. It prints no secret.
#
# An empty file is a secret that is not set. The folder keeps other users of the machine out; the files are readable by
# all, because each container has a user of its own, and sees only the files that it is given.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p secrets/tls # certificates of a Kafka and a Redis of your own
chmod 700 secrets
chmod 755 secrets/tls

random() { openssl rand -base64 32 | tr '+/' '-_'; } # which is what a Fernet key is, too

for name in secrets_key session_key grafana_password; do
  [ -e "secrets/$name" ] || random >"secrets/$name"
done
for name in github_secret github_token github_app_private_key gemini_api_key model_key e2b_api_key kafka_password \
  poller_api_key; do
  [ -e "secrets/$name" ] || : >"secrets/$name"
done
find secrets -type f -exec chmod 444 {} +
