"""What an estate is made of: names, programs, sites and cloud operations to draw from."""

from typing import NamedTuple

GIVEN = (
    "anna ben carla david elena felix grace hugo ines jonas karin leo maria nils olga peter quinn rosa sam tara "
    "umar vera walt xenia yusuf zoe amir bella chen dora emil fay gus hana ivo jade kofi lena milo nora"
).split()
FAMILY = (
    "berg costa diaz engel fischer gupta haas ito jansen keller lopez meyer novak olsen petrov rossi silva tanaka "
    "unger vogel weber young zimmer adler brandt cruz dahl evans ford garcia hill iyer jung khan lang moss nash ortiz"
).split()
SYLLABLES = "al bra cor den el fa gri hol in jo ka lu mer no or pra qua ri sol tra um va wen xi yor zen".split()
TLDS = ("com", "com", "com", "net", "org", "io", "co", "de", "eu", "uk")
WELL_KNOWN = (
    "www.google.com outlook.office365.com teams.microsoft.com login.microsoftonline.com www.bing.com "
    "fonts.googleapis.com www.linkedin.com www.youtube.com github.com stackoverflow.com en.wikipedia.org "
    "cdn.jsdelivr.net www.amazon.com slack.com zoom.us api.github.com raw.githubusercontent.com www.wikipedia.org "
    "docs.python.org www.reddit.com www.dropbox.com drive.google.com www.bbc.co.uk weather.com "
    "www.salesforce.com app.hubspot.com www.adobe.com connect.facebook.net www.googletagmanager.com"
).split()
BACKGROUND_SITES = (
    "settings-win.data.microsoft.com v10.events.data.microsoft.com ctldl.windowsupdate.com ocsp.digicert.com "
    "time.windows.com update.googleapis.com wdcp.microsoft.com sls.update.microsoft.com edge.microsoft.com"
).split()
BROWSERS = {
    "edge": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Edg/124.0",
    "chrome": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0",
    "firefox": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0",
}
CUSTOMER_AGENTS = (
    *BROWSERS.values(),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
)

SYSTEM32 = "C:\\Windows\\System32\\"
EXPLORER = "C:\\Windows\\explorer.exe"
SERVICES = SYSTEM32 + "services.exe"
SVCHOST = SYSTEM32 + "svchost.exe"
CMD = SYSTEM32 + "cmd.exe"
POWERSHELL = SYSTEM32 + "WindowsPowerShell\\v1.0\\powershell.exe"
OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
BROWSER_PATHS = {
    "edge": "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
    "chrome": "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "firefox": "C:\\Program Files\\Mozilla Firefox\\firefox.exe",
}


class Program(NamedTuple):
    """A program, what starts it, and its arguments ({doc} a document's name, {n} a number, {user}, {share})."""

    path: str
    parent: str
    arguments: str = ""


OFFICE_PROGRAMS = (
    Program(OFFICE + "OUTLOOK.EXE", EXPLORER),
    Program(OFFICE + "WINWORD.EXE", EXPLORER, '/n "C:\\Users\\{user}\\Documents\\{doc}.docx"'),
    Program(OFFICE + "WINWORD.EXE", OFFICE + "OUTLOOK.EXE", '/n "C:\\Users\\{user}\\Downloads\\{doc}.docx"'),
    Program(OFFICE + "EXCEL.EXE", EXPLORER, '"\\\\{share}\\{doc}.xlsx"'),
    Program(OFFICE + "POWERPNT.EXE", EXPLORER, '"C:\\Users\\{user}\\Documents\\{doc}.pptx"'),
    Program("C:\\Program Files\\Adobe\\Acrobat DC\\Acrobat\\Acrobat.exe", EXPLORER, '"{doc}.pdf"'),
    Program("C:\\Users\\{user}\\AppData\\Local\\Microsoft\\Teams\\current\\Teams.exe", EXPLORER, "--type=renderer"),
    Program(SYSTEM32 + "notepad.exe", EXPLORER, "{doc}.txt"),
    Program(SYSTEM32 + "SnippingTool.exe", EXPLORER),
    Program("C:\\Program Files\\Zoom\\bin\\Zoom.exe", EXPLORER, "--url=zoommtg://join?confno={n}"),
    Program(SYSTEM32 + "calc.exe", EXPLORER),
    Program("C:\\Program Files\\7-Zip\\7zFM.exe", EXPLORER, '"{doc}.zip"'),
    Program(SYSTEM32 + "mstsc.exe", EXPLORER, "/v:{server}"),
    Program(CMD, EXPLORER, '/c "\\\\{share}\\logon.bat"'),
)
ROLE_PROGRAMS: dict[str, tuple[Program, ...]] = {
    "developer": (
        Program("C:\\Users\\{user}\\AppData\\Local\\Programs\\Microsoft VS Code\\Code.exe", EXPLORER, "C:\\src\\{doc}"),
        Program("C:\\Program Files\\Git\\cmd\\git.exe", POWERSHELL, "pull --rebase"),
        Program("C:\\Program Files\\Git\\cmd\\git.exe", POWERSHELL, "commit -m {doc}"),
        Program(POWERSHELL, "C:\\Program Files\\WindowsTerminal\\WindowsTerminal.exe", "-NoLogo"),
        Program("C:\\Program Files\\nodejs\\node.exe", CMD, "node_modules\\.bin\\vite build"),
        Program("C:\\Python311\\python.exe", POWERSHELL, "-m pytest -k {doc}"),
        Program("C:\\Program Files\\Docker\\Docker\\resources\\bin\\docker.exe", POWERSHELL, "compose up -d"),
        Program("C:\\Program Files\\Amazon\\AWSCLIV2\\aws.exe", POWERSHELL, "s3 sync build s3://{doc}-artifacts"),
        Program(SYSTEM32 + "curl.exe", POWERSHELL, "-s https://api.github.com/repos/{doc}"),
        Program(SYSTEM32 + "OpenSSH\\ssh.exe", POWERSHELL, "{user}@{server}"),
    ),
    "admin": (
        Program(SYSTEM32 + "mmc.exe", EXPLORER, "dsa.msc"),
        Program(SYSTEM32 + "mstsc.exe", EXPLORER, "/v:{server}"),
        Program(POWERSHELL, EXPLORER, "-NoProfile -File C:\\Scripts\\{doc}.ps1"),
        Program(SYSTEM32 + "net.exe", CMD, "user {doc} /domain"),
        Program(SYSTEM32 + "nslookup.exe", CMD, "{server}"),
        Program(SYSTEM32 + "ping.exe", CMD, "-n {n} {server}"),
        Program(SYSTEM32 + "gpupdate.exe", CMD, "/force"),
        Program("C:\\Tools\\SysinternalsSuite\\procexp64.exe", EXPLORER, "/accepteula"),
        Program(SYSTEM32 + "whoami.exe", CMD, "/groups"),
        Program("C:\\Program Files\\PuTTY\\putty.exe", EXPLORER, "-ssh {server}"),
    ),
    "finance": (
        Program("C:\\Program Files\\SAP\\FrontEnd\\SAPgui\\saplogon.exe", EXPLORER),
        Program(OFFICE + "EXCEL.EXE", EXPLORER, '"\\\\{share}\\finance\\{doc}-{n}.xlsm"'),
        Program("C:\\Program Files (x86)\\ELSTER\\transfer.exe", EXPLORER, "--batch {n}"),
    ),
    "hr": (
        Program("C:\\Program Files\\HRcentral\\HRcentral.exe", EXPLORER),
        Program(OFFICE + "WINWORD.EXE", EXPLORER, '"\\\\{share}\\hr\\{doc}-contract.docx"'),
    ),
    "sales": (
        Program("C:\\Program Files\\Salesforce\\DataLoader\\dataloader.exe", EXPLORER, "--profile {doc}"),
        Program(OFFICE + "POWERPNT.EXE", EXPLORER, '"\\\\{share}\\sales\\{doc}.pptx"'),
    ),
    "support": (
        Program("C:\\Program Files\\TeamViewer\\TeamViewer.exe", EXPLORER, "--id {n}"),
        Program(SYSTEM32 + "quickassist.exe", EXPLORER),
        Program(SYSTEM32 + "msra.exe", EXPLORER, "/offerra {doc}"),
        Program(SYSTEM32 + "ipconfig.exe", CMD, "/all"),
    ),
    "office": (),
}
BACKGROUND_PROGRAMS = (
    Program(SVCHOST, SERVICES, "-k netsvcs -p -s Schedule"),
    Program(SVCHOST, SERVICES, "-k UnistackSvcGroup -s WpnUserService"),
    Program(SYSTEM32 + "taskhostw.exe", SVCHOST),
    Program(SYSTEM32 + "SearchProtocolHost.exe", SYSTEM32 + "SearchIndexer.exe", "Global\\UsGthrFltPipeMssGthrPipe{n}"),
    Program(SYSTEM32 + "RuntimeBroker.exe", SVCHOST, "-Embedding"),
    Program(SYSTEM32 + "backgroundTaskHost.exe", SVCHOST, "-ServerName:App.AppX{n}"),
    Program("C:\\Program Files\\Windows Defender\\MpCmdRun.exe", SVCHOST, "SignatureUpdate -ScheduleJob"),
    Program("C:\\Program Files (x86)\\Google\\Update\\GoogleUpdate.exe", SVCHOST, "/ua /installsource scheduler"),
    Program(SYSTEM32 + "conhost.exe", CMD, "0xffffffff -ForceV1"),
    Program(SYSTEM32 + "wbem\\WmiPrvSE.exe", SVCHOST, "-secured -Embedding"),
    Program(SYSTEM32 + "rundll32.exe", SVCHOST, "Startupscan.dll,SusRunTask"),
    Program(POWERSHELL, "C:\\Program Files\\Monitoring\\agent.exe", "-NonInteractive -File check_{doc}.ps1"),
)
RARE_PROGRAMS = (
    Program("C:\\Tools\\Wireshark\\Wireshark.exe", EXPLORER, "-i {n}"),
    Program("C:\\Tools\\SysinternalsSuite\\PsExec64.exe", CMD, "\\\\{server} cmd.exe"),
    Program("C:\\Tools\\SysinternalsSuite\\procdump64.exe", CMD, "-ma w3wp.exe C:\\dumps\\w3wp-{n}.dmp"),
    Program("C:\\Tools\\nmap\\nmap.exe", CMD, "-sV {server}"),
    Program(SYSTEM32 + "certutil.exe", CMD, "-hashfile {doc}.iso SHA256"),
    Program(SYSTEM32 + "vssadmin.exe", CMD, "list shadows"),
    Program(SYSTEM32 + "schtasks.exe", POWERSHELL, "/create /tn {doc} /tr C:\\Scripts\\{doc}.cmd /sc daily"),
    Program("C:\\Users\\{user}\\Downloads\\{doc}-setup.exe", EXPLORER, "/S"),
    Program(SYSTEM32 + "bitsadmin.exe", CMD, "/list /allusers"),
    Program("C:\\Users\\{user}\\Downloads\\rufus-4.{n}.exe", EXPLORER),
)
SERVER_PROGRAMS: dict[str, tuple[Program, ...]] = {
    "database": (Program("C:\\Program Files\\PostgreSQL\\16\\bin\\pg_dump.exe", SVCHOST, "-Fc shop -f D:\\dump.{n}"),),
    "build": (
        Program("C:\\BuildAgent\\bin\\Agent.Worker.exe", "C:\\BuildAgent\\bin\\Agent.Listener.exe", "spawnclient {n}"),
        Program("C:\\Program Files\\dotnet\\dotnet.exe", "C:\\BuildAgent\\bin\\Agent.Worker.exe", "publish -c Release"),
        Program("C:\\Program Files\\Git\\cmd\\git.exe", "C:\\BuildAgent\\bin\\Agent.Worker.exe", "fetch --depth 1"),
    ),
    "web": (Program(SYSTEM32 + "inetsrv\\w3wp.exe", SVCHOST, '-ap "shop" -v "v4.0" -h {n}'),),
    "backup": (Program("C:\\Program Files\\Veeam\\Backup\\VeeamAgent.exe", SERVICES, "job {n}"),),
}
MODULES = (
    "clr.dll",
    "amsi.dll",
    "mscoree.dll",
    "wininet.dll",
    "dbghelp.dll",
    "winhttp.dll",
    "samlib.dll",
    "bcrypt.dll",
)
REGISTRY = (
    "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\RecentDocs",
    "HKCU\\Software\\Microsoft\\Office\\16.0\\Common\\Identity",
    "HKLM\\SYSTEM\\CurrentControlSet\\Services\\bam\\State\\UserSettings",
    "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings",
    "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tasks",
    "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
)
DOC_FOLDERS = (
    "C:\\Users\\{user}\\Documents\\",
    "C:\\Users\\{user}\\Downloads\\",
    "C:\\Users\\{user}\\AppData\\Local\\Temp\\",
)
APP_PATHS = (
    *("/", "/products", "/products/{n}", "/cart", "/static/app.js", "/static/site.css", "/search", "/login"),
    *("/account/orders/{n}", "/checkout", "/images/{n}.jpg", "/api/v1/stock/{n}", "/help", "/api/v1/session"),
)
INTRANET_PATHS = (
    *("/", "/news", "/people/{n}", "/wiki/page/{n}", "/timesheet", "/expenses", "/expenses/{n}", "/files/{n}"),
    *("/calendar", "/tickets/{n}", "/tickets", "/canteen", "/search", "/reports/monthly"),
)


class Operation(NamedTuple):
    """A cloud API call and the kind of thing it is made on."""

    service: str
    name: str
    resource: str = ""


CLOUD_OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "developer": (
        Operation("s3.amazonaws.com", "GetObject", "artifacts"),
        Operation("s3.amazonaws.com", "PutObject", "artifacts"),
        Operation("logs.amazonaws.com", "FilterLogEvents", "/app/shop"),
        Operation("ec2.amazonaws.com", "DescribeInstances"),
        Operation("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", "stock-sync"),
        Operation("lambda.amazonaws.com", "Invoke", "stock-sync"),
        Operation("ecr.amazonaws.com", "BatchGetImage", "shop"),
        Operation("cloudformation.amazonaws.com", "DescribeStacks", "shop"),
        Operation("secretsmanager.amazonaws.com", "GetSecretValue", "dev/shop"),
        Operation("iam.amazonaws.com", "ListRoles"),
    ),
    "admin": (
        Operation("ec2.amazonaws.com", "DescribeInstances"),
        Operation("signin.amazonaws.com", "ConsoleLogin"),
        Operation("iam.amazonaws.com", "ListUsers"),
        Operation("iam.amazonaws.com", "GetUser"),
        Operation("ec2.amazonaws.com", "StopInstances", "i-0shop"),
        Operation("iam.amazonaws.com", "CreateAccessKey", "build-agent"),
        Operation("cloudtrail.amazonaws.com", "LookupEvents"),
        Operation("s3.amazonaws.com", "ListBuckets"),
        Operation("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress", "sg-0shop"),
        Operation("iam.amazonaws.com", "AttachUserPolicy", "developers"),
    ),
    "office": (
        Operation("outlook.office365.com", "MailItemsAccessed", "inbox"),
        Operation("sharepoint.office365.com", "FileAccessed", "team"),
        Operation("sharepoint.office365.com", "FileDownloaded", "team"),
        Operation("sharepoint.office365.com", "FileModified", "team"),
        Operation("outlook.office365.com", "Send", "inbox"),
        Operation("sharepoint.office365.com", "FilePreviewed", "team"),
        Operation("signin.office365.com", "UserLoggedIn"),
        Operation("sharepoint.office365.com", "SharingSet", "team"),
        Operation("outlook.office365.com", "New-InboxRule", "inbox"),
    ),
    "service": (
        Operation("s3.amazonaws.com", "PutObject", "backups"),
        Operation("s3.amazonaws.com", "GetObject", "artifacts"),
        Operation("sts.amazonaws.com", "AssumeRole", "deploy"),
        Operation("monitoring.amazonaws.com", "PutMetricData"),
        Operation("sqs.amazonaws.com", "ReceiveMessage", "orders"),
        Operation("s3.amazonaws.com", "DeleteObject", "backups"),
        Operation("ecs.amazonaws.com", "UpdateService", "shop"),
    ),
}
