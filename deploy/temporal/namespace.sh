#!/bin/sh
# Creates the namespace and registers the search attributes the product writes. Safe to run again.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 90d

existing=$(temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE")
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
