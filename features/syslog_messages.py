"""What Unix programs write to the system log when somebody logs on, commands or changes an account."""

from typing import NamedTuple

from features.events import Domain


class Act(NamedTuple):
    """The domain, words and OCSF class of a message."""

    domain: Domain
    activity: str
    class_uid: int
    status: str | None


class Message(NamedTuple):
    """What some programs write (any, if none is named) when something was done; groups bear names of our columns."""

    act: Act
    programs: tuple[str, ...]
    pattern: str


_LOGON = Act(Domain.IDENTITY, "logon", 3002, "success")
_NO_LOGON = _LOGON._replace(status="failure")
_LOGOFF = _LOGON._replace(activity="logoff")
_NO_PROOF = _NO_LOGON._replace(activity="authentication failure")
_NO_HANDSHAKE = _NO_LOGON._replace(activity="handshake failure")
_CONNECT = _LOGON._replace(activity="connect", status=None)
_DISCONNECT = _LOGON._replace(activity="disconnect", status=None)
_OPEN = _LOGON._replace(activity="session open")
_CLOSE = _LOGON._replace(activity="session close")
_ACCOUNT = Act(Domain.IDENTITY, "account change", 3001, "success")
_NO_ACCOUNT = _ACCOUNT._replace(status="failure")
_MEMBER = Act(Domain.IDENTITY, "group change", 3006, "success")
_LAUNCH = Act(Domain.ENDPOINT, "launch", 1007, "success")
_NO_LAUNCH = _LAUNCH._replace(status="failure")
_TASK = Act(Domain.ENDPOINT, "task change", 1006, "success")
OTHER = Act(Domain.ENDPOINT, "other", 0, None)

_SSHD = ("sshd", "sshd-session", "sshd-auth")
_CRON = ("cron", "crond", "anacron", "crontab")
_ACCOUNTS = tuple("useradd userdel usermod groupadd groupdel groupmod passwd chage gpasswd adduser deluser".split())


def _detail(words: str) -> str:
    return rf"(?P<status_detail>{words})"


_PAM = r"^(?:pam_\w+\([^)]*\): )?"
_USER = r"(?P<user_name>.*)"
_WORD = r"(?P<user_name>[^\s(]*)(?:\(uid=\d+\))?"
_NAME = r"'?(?P<user_name>[^'\s,]+)'?"
_ACTOR = r"(?P<actor_user_name>[^\s(]*)"
_GROUP = r"'?(?P<group_name>[^'\s,/]+)'?"
_UNKNOWN = rf"(?:{_detail('(?:invalid|illegal) user')} )?"
_PORT = r"(?P<peer>\S+) port \d+"
_FROM = r"(?P<peer>\S+)(?: port \d+)?"
_PARTED = r"(?:Connection (?:closed|reset) by|Received disconnect from|Disconnected from|Disconnecting)"
_COMMAND = r"TTY=.*? ; USER=\S* ; (?:\w+=[^;]* ; )*?COMMAND=(?P<process_cmd_line>.*)$"

#: The first that fits counts. All begin where the message begins, and a name reaches as far as it can, up to the
#: address that the program itself wrote: names are the attacker's to choose.
MESSAGES = (
    Message(_LOGON, _SSHD, rf"^Accepted (?P<auth_protocol>\S+) for {_USER} from {_PORT}"),
    Message(_NO_LOGON, _SSHD, rf"^Failed (?P<auth_protocol>\S+) for {_UNKNOWN}{_USER} from {_PORT}"),
    Message(_NO_PROOF, _SSHD, rf"^{_detail('(?:Invalid|Illegal) user')} {_USER} from {_FROM}$"),
    Message(_NO_PROOF, _SSHD, rf"^input_userauth_request: {_detail('(?:invalid|illegal) user')} {_USER} \[preauth\]$"),
    Message(
        _NO_PROOF,
        _SSHD,
        rf"^(?:error: )?{_detail('maximum .* attempts exceeded')} for (?:invalid user )?{_USER} from {_PORT}",
    ),
    Message(_LOGOFF, _SSHD, rf"^Disconnected from (?:user {_USER} )?{_PORT}$"),
    Message(_DISCONNECT, _SSHD, rf"^{_PARTED} (?:authenticating|invalid) user {_USER} {_PORT}"),
    Message(_DISCONNECT, _SSHD, rf"^{_PARTED} (?P<peer>[\da-fA-F.:]*[\da-fA-F])(?: |:|$)"),
    Message(_NO_HANDSHAKE, _SSHD, rf"^(?:fatal: )?{_detail('Unable to negotiate')} with {_PORT}"),
    Message(
        _NO_HANDSHAKE,
        _SSHD,
        rf"^(?:error: )?{_detail('Did not receive identification|Bad protocol version')}.* from {_FROM}$",
    ),
    Message(_CONNECT, _SSHD, rf"^Connection from {_PORT}"),
    Message(
        _NO_PROOF,
        (),
        rf"{_PAM}(?:PAM \d+ more )?authentication failures?; .*?ruser={_ACTOR} rhost=(?P<peer>\S*)"
        rf"(?:\s+user={_USER})?$",
    ),
    Message(_NO_PROOF, (), rf"^pam_\w+\([^)]*\): check pass; {_detail('user unknown')}"),
    Message(_OPEN, (), rf"{_PAM}session opened for user {_WORD}(?: by {_ACTOR})?"),
    Message(_CLOSE, (), rf"{_PAM}session closed for user {_WORD}"),
    Message(_ACCOUNT, (), rf"^pam_\w+\([^)]*:chauthtok\): {_detail('password changed')} for {_NAME}"),
    Message(_NO_ACCOUNT, (), rf'^pam_\w+\([^)]*:chauthtok\): user "(?P<user_name>[^"]*)" {_detail("does not exist")}'),
    Message(_LAUNCH, ("sudo",), rf"^\s*(?P<actor_user_name>\S+) : {_COMMAND}"),
    Message(_NO_LAUNCH, ("sudo",), rf"^\s*(?P<actor_user_name>\S+) : [^;=]+ ; {_COMMAND}"),
    Message(_LOGON, ("su",), rf"^Successful su for {_WORD} by {_ACTOR}"),
    Message(_NO_LOGON, ("su",), rf"^FAILED su for {_WORD} by {_ACTOR}"),
    Message(_LOGON, ("su",), rf"^\(to (?P<user_name>[^)]+)\) {_ACTOR} on "),
    Message(_NO_LOGON, ("su",), rf"^FAILED SU \(to (?P<user_name>[^)]+)\) {_ACTOR} on "),
    Message(_LAUNCH, _CRON, r"^\((?P<actor_user_name>[^)]*)\) CMD \(\s*(?P<process_cmd_line>.*)\)$"),
    Message(_TASK, _CRON, r"^\((?P<actor_user_name>[^)]*)\) (?:REPLACE|DELETE) \("),
    Message(_NO_ACCOUNT, _ACCOUNTS, rf"^{_detail('failed adding user')} {_NAME}"),
    Message(_ACCOUNT, _ACCOUNTS, rf"^{_detail('new user')}: name={_NAME}"),
    Message(_ACCOUNT, _ACCOUNTS, rf"^{_detail('(?:delete|change|lock|unlock) user')} {_NAME}"),
    Message(_ACCOUNT, _ACCOUNTS, rf"^{_detail('changed password expiry|password')} for {_NAME}"),
    Message(_MEMBER, _ACCOUNTS, rf"^{_detail('add|delete')} {_NAME} (?:to|from) (?:shadow )?group {_GROUP}"),
    Message(_MEMBER, _ACCOUNTS, rf"^user {_NAME} {_detail('added|removed')} by {_ACTOR} (?:to|from) group {_GROUP}"),
    Message(_MEMBER, _ACCOUNTS, rf"^{_detail('new group|group added')}[^:]*: name={_GROUP}"),
    Message(_MEMBER, _ACCOUNTS, rf"^{_detail('removed group|group')} {_GROUP}"),
)
