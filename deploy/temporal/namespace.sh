#!/bin/sh
# Creates the namespace, registers the search attributes the product writes and, where TEMPORAL_ARCHIVE is set (a URI that
# the server's own configuration can archive to), keeps runs there beyond their retention. Safe to run again.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 90d

# A new namespace is known to all of the server after ten seconds.
tries=0
until existing=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"); do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || exit 1
  sleep 1
done

archive=${TEMPORAL_ARCHIVE:-}
if [ -n "$archive" ]; then
  temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" \
    --history-archival-state enabled --history-uri "$archive/history" \
    --visibility-archival-state enabled --visibility-uri "$archive/visibility"
  # A server that archives nothing takes the request all the same, and does nothing.
  enabled=$(temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" --output json |
    grep -c ARCHIVAL_STATE_ENABLED || true)
  if [ "$enabled" -ne 2 ]; then
    echo "The server archives nothing: enable archival in its configuration, or unset TEMPORAL_ARCHIVE" >&2
    exit 1
  fi
fi

register() {
  if printf '%s\n' "$existing" | grep -qw "$1"; then return; fi
  temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$1" --type "$2"
}
register Q2CStage Keyword
register Q2CWaitingFor Keyword
register Q2CCompany Keyword
register Q2CCustomer Keyword
register Q2CQuote Keyword
register Q2CQuoteId Keyword
register Q2COrder Keyword
register Q2CError Keyword
register Q2CApprovers KeywordList
register Q2CPeople KeywordList
register Q2CStageSince Datetime
register Q2CDeadline Datetime
register Q2CAmount Double
register Q2CCurrency Keyword
