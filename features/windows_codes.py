"""What each Windows event code says was done, in which domain, and its OCSF class."""

from typing import NamedTuple

from features.events import Domain

_ENDPOINT, _IDENTITY, _NETWORK, _DNS = Domain.ENDPOINT, Domain.IDENTITY, Domain.NETWORK, Domain.DNS


class Act(NamedTuple):
    """The domain, words and OCSF class of an event code."""

    domain: Domain
    activity: str
    class_uid: int


#: For a code nobody has named, unless its channel tells the domain.
OTHER = Act(_ENDPOINT, "other", 0)

DOMAIN_OF_CHANNEL = {"dns-client": Act(_DNS, "query step", 4003), "dns-server": Act(_DNS, "query step", 4003)}

ACTS: dict[str, Act] = {
    "sysmon/1": Act(_ENDPOINT, "launch", 1007),
    "sysmon/2": Act(_ENDPOINT, "file time change", 1001),
    "sysmon/3": Act(_NETWORK, "connect", 4001),
    "sysmon/5": Act(_ENDPOINT, "terminate", 1007),
    "sysmon/6": Act(_ENDPOINT, "driver load", 1005),
    "sysmon/7": Act(_ENDPOINT, "module load", 1005),
    "sysmon/8": Act(_ENDPOINT, "inject", 1007),
    "sysmon/9": Act(_ENDPOINT, "raw read", 1001),
    "sysmon/10": Act(_ENDPOINT, "access", 1007),
    "sysmon/11": Act(_ENDPOINT, "file create", 1001),
    "sysmon/12": Act(_ENDPOINT, "registry create", 201001),
    "sysmon/13": Act(_ENDPOINT, "registry set", 201002),
    "sysmon/14": Act(_ENDPOINT, "registry rename", 201001),
    "sysmon/15": Act(_ENDPOINT, "stream create", 1001),
    "sysmon/17": Act(_ENDPOINT, "pipe create", 1001),
    "sysmon/18": Act(_ENDPOINT, "pipe connect", 1001),
    "sysmon/19": Act(_ENDPOINT, "wmi filter", 1006),
    "sysmon/20": Act(_ENDPOINT, "wmi consumer", 1006),
    "sysmon/21": Act(_ENDPOINT, "wmi binding", 1006),
    "sysmon/22": Act(_DNS, "query", 4003),
    "sysmon/23": Act(_ENDPOINT, "file delete", 1001),
    "sysmon/24": Act(_ENDPOINT, "clipboard", 0),
    "sysmon/25": Act(_ENDPOINT, "tamper", 1007),
    "sysmon/26": Act(_ENDPOINT, "file delete", 1001),
    "sysmon/27": Act(_ENDPOINT, "file block", 1001),
    "sysmon/28": Act(_ENDPOINT, "file block", 1001),
    "sysmon/29": Act(_ENDPOINT, "file create", 1001),
    "security/4688": Act(_ENDPOINT, "launch", 1007),
    "security/4689": Act(_ENDPOINT, "terminate", 1007),
    "security/4656": Act(_ENDPOINT, "handle request", 1003),
    "security/4658": Act(_ENDPOINT, "handle close", 1003),
    "security/4690": Act(_ENDPOINT, "handle duplicate", 1003),
    "security/4663": Act(_ENDPOINT, "object access", 1003),
    "security/4660": Act(_ENDPOINT, "object delete", 1003),
    "security/4670": Act(_ENDPOINT, "permission change", 1003),
    "security/4657": Act(_ENDPOINT, "registry set", 201002),
    "security/4673": Act(_ENDPOINT, "privilege use", 1003),
    "security/4674": Act(_ENDPOINT, "privilege use", 1003),
    "security/4703": Act(_ENDPOINT, "privilege change", 1003),
    "security/4697": Act(_ENDPOINT, "service install", 201004),
    "security/4698": Act(_ENDPOINT, "task create", 1006),
    "security/4699": Act(_ENDPOINT, "task delete", 1006),
    "security/4700": Act(_ENDPOINT, "task enable", 1006),
    "security/4701": Act(_ENDPOINT, "task disable", 1006),
    "security/4702": Act(_ENDPOINT, "task change", 1006),
    "security/1102": Act(_ENDPOINT, "log clear", 1008),
    "security/4616": Act(_ENDPOINT, "time change", 0),
    "system/104": Act(_ENDPOINT, "log clear", 1008),
    "system/7036": Act(_ENDPOINT, "service state", 201004),
    "system/7040": Act(_ENDPOINT, "service change", 201004),
    "system/7045": Act(_ENDPOINT, "service install", 201004),
    "powershell/4103": Act(_ENDPOINT, "command", 1009),
    "powershell/4104": Act(_ENDPOINT, "script", 1009),
    "powershell/4105": Act(_ENDPOINT, "script start", 1009),
    "powershell/4106": Act(_ENDPOINT, "script stop", 1009),
    "windows-powershell/400": Act(_ENDPOINT, "engine start", 1009),
    "windows-powershell/403": Act(_ENDPOINT, "engine stop", 1009),
    "windows-powershell/600": Act(_ENDPOINT, "provider start", 1009),
    "windows-powershell/800": Act(_ENDPOINT, "pipeline", 1009),
    "wmi-activity/5857": Act(_ENDPOINT, "wmi provider", 0),
    "wmi-activity/5858": Act(_ENDPOINT, "wmi failure", 0),
    "wmi-activity/5860": Act(_ENDPOINT, "wmi filter", 1006),
    "wmi-activity/5861": Act(_ENDPOINT, "wmi binding", 1006),
    "security/5152": Act(_NETWORK, "block", 4001),
    "security/5153": Act(_NETWORK, "block", 4001),
    "security/5154": Act(_NETWORK, "listen", 4001),
    "security/5155": Act(_NETWORK, "listen block", 4001),
    "security/5156": Act(_NETWORK, "connect", 4001),
    "security/5157": Act(_NETWORK, "block", 4001),
    "security/5158": Act(_NETWORK, "bind", 4001),
    "security/5159": Act(_NETWORK, "bind block", 4001),
    "security/5447": Act(_NETWORK, "filter change", 0),
    "dns-client/3006": Act(_DNS, "query", 4003),
    "dns-client/3008": Act(_DNS, "response", 4003),
    "security/4624": Act(_IDENTITY, "logon", 3002),
    "security/4625": Act(_IDENTITY, "logon", 3002),
    "security/4627": Act(_IDENTITY, "group membership", 3003),
    "security/4634": Act(_IDENTITY, "logoff", 3002),
    "security/4647": Act(_IDENTITY, "logoff", 3002),
    "security/4648": Act(_IDENTITY, "explicit logon", 3002),
    "security/4649": Act(_IDENTITY, "replay", 3002),
    "security/4661": Act(_IDENTITY, "directory handle", 3004),
    "security/4662": Act(_IDENTITY, "directory access", 3004),
    "security/4672": Act(_IDENTITY, "special privileges", 3003),
    "security/4964": Act(_IDENTITY, "special privileges", 3003),
    "security/4739": Act(_IDENTITY, "policy change", 3004),
    "security/4768": Act(_IDENTITY, "kerberos ticket", 3002),
    "security/4769": Act(_IDENTITY, "kerberos service ticket", 3002),
    "security/4770": Act(_IDENTITY, "kerberos renewal", 3002),
    "security/4771": Act(_IDENTITY, "kerberos ticket", 3002),
    "security/4776": Act(_IDENTITY, "credential check", 3002),
    "security/4777": Act(_IDENTITY, "credential check", 3002),
    "security/4778": Act(_IDENTITY, "session reconnect", 3002),
    "security/4779": Act(_IDENTITY, "session disconnect", 3002),
    "security/4798": Act(_IDENTITY, "membership query", 3003),
    "security/4799": Act(_IDENTITY, "group query", 3006),
    "security/5136": Act(_IDENTITY, "directory change", 3004),
    "security/5137": Act(_IDENTITY, "directory create", 3004),
    "security/5138": Act(_IDENTITY, "directory restore", 3004),
    "security/5139": Act(_IDENTITY, "directory move", 3004),
    "security/5141": Act(_IDENTITY, "directory delete", 3004),
    "security/5140": Act(_IDENTITY, "share access", 4006),
    "security/5145": Act(_IDENTITY, "share access", 4006),
    "security/5379": Act(_IDENTITY, "credential read", 3003),
}

_ACCOUNT = (4720, 4722, 4723, 4724, 4725, 4726, 4738, 4740, 4741, 4742, 4743, 4765, 4766, 4767, 4781, 4794)
_GROUP = (*range(4727, 4738), 4744, *range(4745, 4765))
ACTS |= {f"security/{code}": Act(_IDENTITY, "account change", 3001) for code in _ACCOUNT}
ACTS |= {f"security/{code}": Act(_IDENTITY, "group change", 3006) for code in _GROUP}

#: Codes whose `TargetUserName` is a group's name.
GROUP_CODES = [code for code, act in ACTS.items() if act.class_uid == 3006]

#: Codes that tell of a refusal by being there at all.
FAILURE_CODES = [f"security/{code}" for code in (4625, 4649, 4771, 4777, 5152, 5153, 5155, 5157, 5159)]
