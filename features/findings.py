"""Which domain an alert of another detector is about: the one that its data source names."""

import polars as pl

from features.events import Domain

#: Words of a data source, a product or a rule group, and the domain they name; the first domain that has one counts.
WORDS: dict[Domain, str] = {
    Domain.CLOUD: "aws amazon cloudtrail guardduty office365 o365 azure gcp cloud",
    Domain.DNS: "dns unbound",
    Domain.NETWORK: "ids suricata snort zeek firewall network netflow tls ssl smtp",
    Domain.WEB: "web accesslog http https apache nginx iis waf",
    Domain.IDENTITY: "authentication auth pam sshd ssh sudo login logon identity kerberos adduser account",
    Domain.ENDPOINT: "syscheck sysmon audit auditd rootcheck antivirus edr endpoint process file monitoring",
}


def domains_named(texts: pl.DataFrame) -> pl.Series:
    """For each row the domain that its first text which names any names by a whole word; else endpoint.

    >>> domains_named(pl.DataFrame({"source": ["any log"], "title": ["Multiple web server 400 error codes"]})).item()
    'web'
    """
    found = (_named_by(pl.col(text).str.to_lowercase(), domain) for text in texts.columns for domain in WORDS)
    distinct = texts.unique().with_columns(domain=pl.coalesce(*found, pl.lit(Domain.ENDPOINT.value)))
    return texts.join(distinct, on=texts.columns, how="left", nulls_equal=True, maintain_order="left")["domain"]


def _named_by(text: pl.Expr, domain: Domain) -> pl.Expr:
    words = WORDS[domain].replace(" ", "|")
    return pl.when(text.str.contains(rf"(?:^|[^a-z])(?:{words})(?:[^a-z]|$)")).then(pl.lit(domain.value))
