/*
 * params - the table of parameters
 *
 * One row a parameter. The parser, the list that `mxhop check` prints and
 * the parameter section of mxhop.cf(5) all come from here, so that they
 * cannot disagree. The order is that of the manual page. Adding a parameter:
 * a member of struct conf, a row here.
 *
 * The documentation is mdoc(7): a sentence a line. Type and range are added
 * when it is printed, and not repeated here.
 */

#include "conf/params.h"

#define AS(text, field)   .name = (text), .offset = offsetof(struct conf, field)
#define AT(field)         AS(#field, field)
#define TEXT(reader, def) .type = PARAM_TEXT, .read = (reader), .value = (def)
#define CHOICE(list, def) .type = PARAM_CHOICE, .words = (list), .value = (def)
#define NUMBER(kind, def, from, to) \
    .type = (kind), .value = (def), .min = (from), .max = (to)

#define SECONDS 1000ull /* times in the table are in milliseconds */
#define MINUTES (60 * SECONDS)
#define HOURS   (60 * MINUTES)
#define DAYS    (24 * HOURS)
#define MIB     (1ull << 20)

static const struct param_word reject_pass[] = {
    {"reject", CHOICE_REJECT}, {"pass", CHOICE_PASS}, {NULL, 0}};
static const struct param_word pass_reject[] = {
    {"pass", CHOICE_PASS}, {"reject", CHOICE_REJECT}, {NULL, 0}};
static const struct param_word defer_pass[] = {
    {"defer", CHOICE_DEFER}, {"pass", CHOICE_PASS}, {NULL, 0}};
static const struct param_word pass_defer[] = {
    {"pass", CHOICE_PASS}, {"defer", CHOICE_DEFER}, {NULL, 0}};
static const struct param_word pass_defer_reject[] = {{"pass", CHOICE_PASS},
                                                      {"defer", CHOICE_DEFER},
                                                      {"reject", CHOICE_REJECT},
                                                      {NULL, 0}};
static const struct param_word default_defer[] = {
    {"default", CHOICE_PASS}, {"defer", CHOICE_DEFER}, {NULL, 0}};
static const struct param_word answers[] = {{"auto", ANSWER_AUTO},
                                            {"list", ANSWER_LIST},
                                            {"override", ANSWER_OVERRIDE},
                                            {NULL, 0}};
static const struct param_word sts_modes[] = {{"off", MTA_STS_OFF},
                                              {"watch", MTA_STS_WATCH},
                                              {"enforce", MTA_STS_ENFORCE},
                                              {NULL, 0}};
static const struct param_word tlsrpts[] = {
    {"auto", TLSRPT_AUTO}, {"ignore", TLSRPT_IGNORE}, {NULL, 0}};
static const struct param_word dane_tas[] = {
    {"pass", DANE_TA_PASS}, {"list", DANE_TA_LIST}, {NULL, 0}};
static const struct param_word groups[] = {
    {"site", GROUP_SITE}, {"domain", GROUP_DOMAIN}, {NULL, 0}};

/* Synonyms, as ldap_table(5) takes them, stand last: the first word is shown.
 */
static const struct param_word no_yes[] = {
    {"no", 0}, {"yes", 1}, {"false", 0}, {"true", 1}, {NULL, 0}};
static const struct param_word scopes[] = {
    {"sub", DIR_SUB}, {"one", DIR_ONE}, {"base", DIR_BASE}, {NULL, 0}};
static const struct param_word binds[] = {
    {"none", DIR_BIND_NONE},     {"simple", DIR_BIND_SIMPLE},
    {"sasl", DIR_BIND_EXTERNAL}, {"no", DIR_BIND_NONE},
    {"yes", DIR_BIND_SIMPLE},    {NULL, 0}};
/* ldap_table(5) has 2 for its default, and servers have long ceased to. */
static const struct param_word versions[] = {{"3", 3}, {"2", 3}, {NULL, 0}};

const struct param params[] = {
    {AT(dns_servers), TEXT(text_read_servers, ""),
     .doc = "The name servers to ask, at most eight, in this order:\n"
            "IP addresses, each with an optional port, as in\n"
            ".Ql 127.0.0.1:5353 [::1]:53 .\n"
            "They must be resolvers that answer for any domain.\n"
            "If empty, those of\n"
            ".Xr resolv.conf 5 ."},
    {AS("dns_timeout", dns_timeout_ms),
     NUMBER(PARAM_TIME_MS, "10s", SECONDS, 5 * MINUTES), .unit = "s",
     .doc = "How long to go on asking name servers about one name before the\n"
            "lookup counts as failed.\n"
            "Nobody waits this long inside Postfix:\n"
            "when the answer comes, it fills the cache."},
    {AT(address_families), TEXT(text_read_families, ""),
     .doc = "The kinds of address that mail can be sent to:\n"
            ".Cm ipv4 , ipv6\n"
            "or both.\n"
            "A host that has neither is left out of every list.\n"
            "If empty, inside Postfix the value of\n"
            ".Va inet_protocols ,\n"
            "elsewhere both."},
    {AS("lookup_budget", lookup_budget_ms),
     NUMBER(PARAM_TIME_MS, "", 1, MINUTES), .unit = "ms",
     .doc =
         "How long one lookup may wait for name servers.\n"
         "If the answer is not known by then,\n"
         ".Va on_cold\n"
         "decides.\n"
         "Postfix does nothing else while it waits, so keep this short there.\n"
         "A number without a unit is in milliseconds.\n"
         "If empty, 200ms inside Postfix, 2s in Exim and in the command."},
    {AS("wait_share", wait_share_percent), NUMBER(PARAM_PERCENT, "10%", 0, 100),
     .doc = "The share of any ten seconds that all lookups inside Postfix\n"
            "together may spend waiting.\n"
            "When it is used up, domains that are not in the cache get\n"
            ".Va on_cold\n"
            "at once, so that a flood of unknown domains does not hold up\n"
            "other mail."},
    {AT(cache), TEXT(text_read_cache, ""),
     .doc =
         "Where DNS answers are kept:\n"
         "the absolute path of a directory that all processes of the mail\n"
         "system share.\n"
         "It belongs to\n"
         ".Va cache_owner ,\n"
         "and nobody else may write to it.\n"
         "It should be on a tmpfs: the cache is valid until the next boot\n"
         "only.\n"
         ".Cm memory :\n"
         "in each process, for as long as it lives;\n"
         ".Cm none :\n"
         "nowhere, each lookup asks again;\n"
         "inside Postfix, mail under an override that names hosts then waits\n"
         "for as long as DNS takes longer than\n"
         ".Va lookup_budget .\n"
         "If empty,\n"
         ".Pa /run/mxhop/NAME ,\n"
         "where\n"
         ".Ar NAME\n"
         "is that of the configuration file, without directory and\n"
         ".Ql .cf .\n"
         "If the directory cannot be used, the log says why, and the cache is\n"
         "as with\n"
         ".Cm memory ."},
    {AS("cache_size", cache_size_bytes),
     NUMBER(PARAM_SIZE, "64M", MIB, 65536 * MIB),
     .doc =
         "How large the cache may become.\n"
         "It starts small, grows as needed, and never takes more than half of\n"
         "its file system.\n"
         "When it is full, entries make room for new ones: expired ones "
         "first,\n"
         "then negative answers, then domains that were asked for only once,\n"
         "then the oldest.\n"
         "A number without a unit is in bytes; K, M and G (or KiB, MiB\n"
         "and GiB) are powers of 1024."},
    {AT(cache_owner), TEXT(text_read_label, ""),
     .doc = "The user that the MTA runs lookups as.\n"
            "The shared cache belongs to this user.\n"
            "If empty, inside Postfix the value of\n"
            ".Va mail_owner ,\n"
            "inside Exim\n"
            ".Cm root ,\n"
            "and in\n"
            ".Xr mxhop 1\n"
            "the owner of the cache, else\n"
            ".Cm postfix ,\n"
            "if there is such a user."},
    {AS("ttl_min", ttl_min_s), NUMBER(PARAM_TIME_S, "30s", 0, DAYS),
     .unit = "s",
     .doc = "A DNS answer is kept for at least this time, even if its own\n"
            "time to live is shorter.\n"
            "Not more than\n"
            ".Va ttl_max ."},
    {AS("ttl_max", ttl_max_s), NUMBER(PARAM_TIME_S, "1d", SECONDS, 30 * DAYS),
     .unit = "s",
     .doc = "A DNS answer is asked for again after this time at the latest,\n"
            "even if its own time to live is longer."},
    {AS("negative_ttl_max", negative_ttl_max_s),
     NUMBER(PARAM_TIME_S, "15m", SECONDS, DAYS), .unit = "s",
     .doc = "The same limit for negative answers: no such domain, no such\n"
            "record.\n"
            "Their own time to live is in the zone (RFC 2308)."},
    {AS("stale_max", stale_max_s), NUMBER(PARAM_TIME_S, "3d", 0, 30 * DAYS),
     .unit = "s",
     .doc = "How long after its time to live an answer may still be used\n"
            "while name servers fail (RFC 8767).\n"
            "Mail keeps its routes through a DNS outage of that length.\n"
            "Only answers that name mail hosts are used: nothing is rejected\n"
            "because of an old answer.\n"
            "0: never."},
    {AS("prefetch", prefetch_percent), NUMBER(PARAM_PERCENT, "10%", 0, 50),
     .doc = "When an answer is asked for and less than this share of its time\n"
            "to live is left, it is refreshed in the background.\n"
            "0: only when it has expired."},
    {AT(overrides), TEXT(text_read_overrides, ""),
     .doc = "Where\n"
            ".Cm mxhop refresh\n"
            "reads the overrides from:\n"
            ".Ql ldif:/etc/mxhop/overrides.ldif\n"
            "or another absolute path after\n"
            ".Ql ldif: ;\n"
            ".Cm ldap\n"
            "for a directory, see\n"
            ".Xr mxhop_ldap 5 .\n"
            "Lookups read neither, only the table that is compiled from it.\n"
            "If empty, there are no overrides, and lookups do not read the "
            "table."},
    {AT(override_table), TEXT(text_read_path, "/var/lib/mxhop/overrides"),
     .doc = "The table that\n"
            ".Cm mxhop refresh\n"
            "writes and lookups read, an absolute path.\n"
            "Its directory must exist.\n"
            "The file with this name is in force, wherever it came from.\n"
            "It need not be inside a chroot jail of the mail system."},
    {AS("override_shrink_limit", override_shrink_limit_percent),
     NUMBER(PARAM_PERCENT, "50%", 0, 100),
     .doc = "If a refresh would make the set of overrides smaller by more\n"
            "than this share of the largest set of the last day, those that\n"
            "are gone stay in force, unless it is run with\n"
            ".Fl -force ;\n"
            "what is new or changed takes effect.\n"
            "As many others in their place do not make the set smaller.\n"
            "An empty or truncated source should not unroute mail.\n"
            "A damaged override table counts with the overrides that it had,\n"
            "unless its header is damaged too: then nothing is held back.\n"
            "100%: no limit."},
    {AS("override_refresh", override_refresh_s),
     NUMBER(PARAM_TIME_S, "1m", SECONDS, DAYS), .unit = "s",
     .doc =
         "For\n"
         ".Ql mxhop refresh --follow :\n"
         "how often to ask a directory that cannot report changes by itself.\n"
         "That a quiet connection still works is checked as often, and every\n"
         "ten seconds at least."},
    {AT(mta_sts), CHOICE(sts_modes, "off"),
     .doc = "What to do about MTA-STS, RFC 8461, with which domains say that\n"
            "their mail is to be sent over verified TLS only:\n"
            ".Cm off :\n"
            "nothing;\n"
            ".Cm watch :\n"
            "policies are fetched and reported, and change nothing;\n"
            ".Cm enforce :\n"
            "they are kept to.\n"
            "Policies are fetched by\n"
            ".Xr mxhop-tls 8 ."},
    {AT(tls_store), TEXT(text_read_path, "/var/lib/mxhop-tls"),
     .doc = "The directory in which\n"
            ".Xr mxhop-tls 8\n"
            "keeps the policies that it has fetched, in the file\n"
            ".Pa policies .\n"
            "It belongs to the user of that service, and the mail system\n"
            "only reads it."},
    {AT(mta_sts_exempt), TEXT(text_read_patterns, ""),
     .doc = "Domains whose policy is ignored:\n"
            "a name, or\n"
            ".Ql .domain\n"
            "for everything below it."},
    {AS("mta_sts_wait", mta_sts_wait_ms),
     NUMBER(PARAM_TIME_MS, "5s", 0, MINUTES), .unit = "s",
     .doc =
         "How long a delivery of Postfix to a domain that has a policy waits\n"
         "for it to be fetched, where the domain has no list.\n"
         "At most four processes a domain wait, and after two seconds a fifth\n"
         "of the process limit in all; without a shared\n"
         ".Va cache\n"
         "none does.\n"
         "Then\n"
         ".Va on_sts_unknown\n"
         "decides.\n"
         "See\n"
         ".Xr mxhop_tls 5 ."},
    {AT(tls_ca_file), TEXT(text_read_file, ""),
     .doc = "The certificates, in PEM, of the authorities that may vouch for\n"
            "the web servers from which policies are fetched.\n"
            "If empty, those of the system."},
    {AS("ldap_server_host", ldap.servers), TEXT(text_read_line, ""),
     .doc =
         "The servers of the directory, separated by spaces or commas, tried\n"
         "in this order:\n"
         ".Ql ldap://host:port ,\n"
         ".Ql ldaps://host:port\n"
         "or\n"
         ".Ql ldapi://path\n"
         "with each / in the path written %2F.\n"
         "A host name alone means\n"
         ".Ql ldap:// ."},
    {AS("ldap_search_base", ldap.base), TEXT(text_read_line, ""),
     .doc = "The entry below which the overrides are."},
    {AS("ldap_scope", ldap.scope), CHOICE(scopes, "sub"),
     .doc = "How deep to search:\n"
            ".Cm sub\n"
            "all entries below\n"
            ".Va ldap_search_base ,\n"
            ".Cm one\n"
            "those right below it,\n"
            ".Cm base\n"
            "the entry itself only."},
    {AS("ldap_filter", ldap.filter), TEXT(text_read_line, ""),
     .doc =
         "Selects the entries to read, all of them at once, so there is no %s\n"
         "in it.\n"
         "If empty,\n"
         ".Ql (objectClass=mxhopOverride) ,\n"
         "or, if they are set, all entries that have\n"
         ".Va ldap_key_attribute\n"
         "and\n"
         ".Va ldap_result_attribute ."},
    {AS("ldap_key_attribute", ldap.key_attribute),
     TEXT(text_read_attribute, ""),
     .doc = "For a directory with a schema of its own:\n"
            "the attribute with the recipient or domain of an entry,\n"
            ".Ql user@example.com , example.com , .example.com .\n"
            "If empty, the schema is that of\n"
            ".Xr mxhop_table 5 ."},
    {AS("ldap_result_attribute", ldap.result_attribute),
     TEXT(text_read_attribute, ""),
     .doc = "For a directory with a schema of its own:\n"
            "the attribute with the next hop, in the syntax of\n"
            ".Xr transport 5 ,\n"
            "or a host name.\n"
            "See\n"
            ".Xr mxhop_ldap 5 ."},
    {AS("ldap_bind", ldap.bind), CHOICE(binds, "none"),
     .doc = "How to authenticate to the server:\n"
            ".Cm none ,\n"
            ".Cm simple\n"
            "with\n"
            ".Va ldap_bind_dn\n"
            "and a password,\n"
            ".Cm sasl\n"
            "with\n"
            ".Va ldap_sasl_mechs .\n"
            ".Cm no\n"
            "and\n"
            ".Cm yes\n"
            "mean\n"
            ".Cm none\n"
            "and\n"
            ".Cm simple ,\n"
            "as in\n"
            ".Xr ldap_table 5 ."},
    {AS("ldap_bind_dn", ldap.bind_dn), TEXT(text_read_line, ""),
     .doc = "The name to bind as, for\n"
            ".Cm simple ."},
    {AS("ldap_bind_pw_file", ldap.bind_pw_file),
     TEXT(text_read_secret_file, ""),
     .doc = "A file with the password on its first line.\n"
            "The user that runs\n"
            ".Ql mxhop refresh\n"
            "must be able to read it, and others must not.\n"
            "With the shipped services this is the user\n"
            ".Ql mxhop ."},
    {AS("ldap_bind_plaintext", ldap.bind_plaintext), CHOICE(no_yes, "no"),
     .doc = "Send the password of\n"
            ".Cm simple\n"
            "without encryption to an\n"
            ".Ql ldap:\n"
            "server on another machine.\n"
            ".Cm no :\n"
            "such a configuration is refused, unless\n"
            ".Va ldap_start_tls\n"
            "is on.\n"
            "Servers at\n"
            ".Ql ldaps: , ldapi:\n"
            "and loopback addresses need neither."},
    {AS("ldap_sasl_mechs", ldap.sasl_mechs), TEXT(text_read_label, "EXTERNAL"),
     .doc = "The SASL mechanism.\n"
            "The only one is\n"
            ".Cm EXTERNAL :\n"
            "the server knows the user id at an\n"
            ".Ql ldapi:\n"
            "socket, or\n"
            ".Va ldap_tls_cert ."},
    {AS("ldap_start_tls", ldap.start_tls), CHOICE(no_yes, "no"),
     .doc = "Begin TLS on connections to\n"
            ".Ql ldap:\n"
            "servers before anything else is sent."},
    {AT(ldap_version), CHOICE(versions, "3"),
     .doc = "The version of the protocol.\n"
            "There is only 3;\n"
            ".Cm 2 ,\n"
            "the default of\n"
            ".Xr ldap_table 5 ,\n"
            "means the same."},
    {AS("ldap_tls_ca_cert_file", ldap.tls_ca_file), TEXT(text_read_file, ""),
     .doc = "The certificates of the trusted authorities, in PEM.\n"
            "If this and\n"
            ".Va ldap_tls_ca_cert_dir\n"
            "are empty,\n"
            ".Pa /etc/ssl/certs/ca-certificates.crt ."},
    {AS("ldap_tls_ca_cert_dir", ldap.tls_ca_dir), TEXT(text_read_file, ""),
     .doc = "A directory of such certificates."},
    {AS("ldap_tls_cert", ldap.tls_cert), TEXT(text_read_file, ""),
     .doc = "The client certificate, for\n"
            ".Cm EXTERNAL ."},
    {AS("ldap_tls_key", ldap.tls_key), TEXT(text_read_file, ""),
     .doc = "Its private key."},
    {AS("ldap_tls_require_cert", ldap.tls_require_cert), CHOICE(no_yes, "yes"),
     .doc = "Refuse a server whose certificate is not valid or is for another\n"
            "name.\n"
            ".Cm no :\n"
            "anyone between here and the server can reroute the mail."},
    {AS("ldap_tls_cipher_suite", ldap.tls_ciphers),
     TEXT(text_read_printable, ""),
     .doc = "The ciphers that may be used, in the syntax of libldap's TLS "
            "library.\n"
            "On Debian these are priority strings of GnuTLS."},
    {AS("ldap_timeout", ldap.timeout_s),
     NUMBER(PARAM_TIME_S, "1m", SECONDS, DAYS), .unit = "s",
     .doc = "How long reading the directory at one server may take, from the\n"
            "connection to the last entry."},
    {AS("ldap_network_timeout", ldap.network_timeout_s),
     NUMBER(PARAM_TIME_S, "5s", SECONDS, HOURS), .unit = "s",
     .doc = "How long a server may take to accept a connection, begin TLS or\n"
            "authenticate, or stay silent."},
    {AT(ldap_config), TEXT(text_read_file, ""),
     .doc = "A file for an\n"
            ".Xr ldap_table 5\n"
            "of Postfix, to be used as it is:\n"
            "servers, base, credentials, TLS and attributes are read from it.\n"
            "Text parameters above that are not empty take precedence.\n"
            "See\n"
            ".Xr mxhop_ldap 5 ."},
    {AT(on_null_mx), CHOICE(reject_pass, "reject"),
     .doc = "The domain says that it accepts no mail (a null MX, RFC 7505).\n"
            ".Cm reject :\n"
            "with status 5.1.10."},
    {AT(on_nxdomain), CHOICE(pass_reject, "pass"),
     .doc = "The domain does not exist.\n"
            ".Cm pass :\n"
            "the mail system finds out by itself;\n"
            ".Cm reject :\n"
            "with status 5.1.2."},
    {AT(on_dns_failure), CHOICE(pass_defer, "pass"),
     .doc = "Name servers fail or refuse to answer about the domain, and there "
            "is\n"
            "no older answer.\n"
            "A failure never counts as\n"
            ".Dq has no MX ."},
    {AT(on_cold), CHOICE(pass_defer, "pass"),
     .doc = "The domain is not in the cache, and the answer did not come\n"
            "within\n"
            ".Va lookup_budget\n"
            "and\n"
            ".Va wait_share .\n"
            "The next lookup will probably find it."},
    {AT(on_no_host), CHOICE(pass_defer_reject, "pass"),
     .doc = "None of the domain's mail hosts can be used: their names are\n"
            "not host names, they have no address, or they are this system.\n"
            ".Cm reject :\n"
            "with status 5.4.4."},
    {AT(on_bogus), CHOICE(reject_pass, "reject"),
     .doc = "Every address of every mail host of the domain is in\n"
            ".Va bogus_networks .\n"
            ".Cm reject :\n"
            "with status 5.4.4."},
    {AT(on_override_failure), CHOICE(defer_pass, "defer"),
     .doc = "The parameter\n"
            ".Va overrides\n"
            "is set, but\n"
            ".Va override_table\n"
            "is missing, damaged or cannot be read.\n"
            ".Cm defer\n"
            "keeps mail in the queue, because an override might send it\n"
            "elsewhere."},
    {AT(on_override_unusable), CHOICE(defer_pass, "defer"),
     .doc = "An override applies, but none of the hosts that it allows can be\n"
            "used:\n"
            "they are known to have no address, are this system or are\n"
            "excluded, or the override excludes hosts and the MX records are\n"
            "not known.\n"
            ".Cm defer\n"
            "keeps mail in the queue until a host can be used or the override\n"
            "is changed;\n"
            ".Cm pass :\n"
            "the mail system routes it as if there were no override, also to\n"
            "hosts that the override keeps it from.\n"
            "While DNS has not told, or cannot tell, the addresses of the\n"
            "hosts, mail waits whatever is chosen here."},
    {AT(on_sts_mismatch), CHOICE(defer_pass, "defer"),
     .doc =
         "A domain has an MTA-STS policy in mode enforce, and none of its MX\n"
         "hosts is in that policy.\n"
         "See\n"
         ".Va mta_sts .\n"
         ".Cm defer\n"
         "keeps mail in the queue, as RFC 8461 says, until the domain has\n"
         "mended the one or the other;\n"
         ".Cm pass :\n"
         "the mail system routes it by itself."},
    {AT(on_sts_unknown), CHOICE(default_defer, "default"),
     .doc =
         "A domain may have an MTA-STS policy, and it was not fetched within\n"
         ".Va mta_sts_wait ,\n"
         "in Exim within\n"
         ".Va lookup_budget .\n"
         ".Cm default\n"
         "delivers the mail as if there were none;\n"
         ".Cm defer\n"
         "keeps it in the queue.\n"
         "That a policy cannot be fetched is known after ten seconds: such a\n"
         "domain has none until the next try."},
    {AT(dane_ta), CHOICE(dane_tas, "pass"),
     .doc = "A domain whose hosts are held to DANE has a TLSA record of the\n"
            "kind that names a CA (DANE-TA).\n"
            "The certificate may then be for the name of the domain only,\n"
            "which a list of hosts hides.\n"
            ".Cm pass :\n"
            "the mail system routes such domains by itself;\n"
            ".Cm list :\n"
            "they get a list, and certificates must name the host."},
    {AT(tlsrpt), CHOICE(tlsrpts, "auto"),
     .doc = "Postfix sends reports of TLS\n"
            ".Pq Va smtp_tlsrpt_enable , No from release 3.10 ,\n"
            "and a domain publishes at\n"
            ".Li _smtp._tls\n"
            "that it wants them (RFC 8460).\n"
            "A list of hosts hides the domain from the report.\n"
            ".Cm auto :\n"
            "with\n"
            ".Ql answer = auto\n"
            "Postfix routes such domains by itself;\n"
            ".Cm ignore :\n"
            "they get a list like any other, and no report of that mail.\n"
            "Where Postfix sends no reports, nothing is asked."},
    {AT(bogus_networks), TEXT(text_read_networks, ""),
     .doc = "Addresses and networks that cannot belong to a mail host of a\n"
            "stranger, such as\n"
            ".Ql 127.0.0.0/8 0.0.0.0/8 ::1 .\n"
            "A mail host that has only such addresses is left out.\n"
            "If empty, any address is accepted."},
    {AT(local_domains), TEXT(text_read_patterns, ""),
     .doc = "Domains that this system delivers itself, for which the answer\n"
            "is\n"
            ".Cm pass ,\n"
            "unless an override is for exactly the recipient or the domain:\n"
            "names, or\n"
            ".Ql .example.com\n"
            "for all names below one.\n"
            "If empty, inside Postfix the domains of\n"
            ".Va mydestination , virtual_alias_domains , "
            "virtual_mailbox_domains\n"
            "and, unless\n"
            ".Va relay_transport\n"
            "is a bare\n"
            ".Cm relay\n"
            "or\n"
            ".Cm smtp ,\n"
            ".Va relay_domains ;\n"
            "elsewhere none."},
    {AT(own_names), TEXT(text_read_names, ""),
     .doc = "The host names of this system.\n"
            "If a domain's MX records name it, this host is left out, and all\n"
            "hosts that are not more preferred, because mail would loop\n"
            "(RFC 5321 section 5.1).\n"
            "If empty, inside Postfix the value of\n"
            ".Va myhostname ,\n"
            "in\n"
            ".Xr mxhop 1\n"
            "the name of the machine."},
    {AT(own_addresses), TEXT(text_read_networks, ""),
     .doc = "The IP addresses of this system, for the same purpose, including\n"
            "those of address translators in front of it.\n"
            "If empty, inside Postfix those of\n"
            ".Va inet_interfaces\n"
            "and\n"
            ".Va proxy_interfaces ,\n"
            "in\n"
            ".Xr mxhop 1\n"
            "those of the machine's interfaces."},
    {AT(answer), CHOICE(answers, "auto"),
     .doc = "Which domains get a list of hosts.\n"
            ".Cm list :\n"
            "all that can be routed;\n"
            ".Cm override :\n"
            "only those that an override changed, all others pass;\n"
            ".Cm auto :\n"
            "as\n"
            ".Cm list ,\n"
            "unless the mail system has settings for which it must see the\n"
            "domain itself, such as TLS policies by domain or DANE;\n"
            "then as\n"
            ".Cm override ,\n"
            "and the log says why."},
    {AT(group), CHOICE(groups, "site"),
     .doc =
         "Which domains share a queue.\n"
         ".Cm site :\n"
         "domains with the same list of hosts share a queue, connections and\n"
         "concurrency limits;\n"
         ".Cm domain :\n"
         "each has its own.\n"
         "An override can say otherwise."},
    {AT(single_domain_sites),
     TEXT(text_read_patterns, ".google.com .googlemail.com"),
     .doc = "Mail hosts, or\n"
            ".Ql .domain\n"
            "for all below one, that refuse recipients of several domains in\n"
            "one transaction.\n"
            "Domains that they serve always get a queue of their own."},
    {AT(transport), TEXT(text_read_label, ""),
     .doc = "The transport of the mail system that gets the list, by its\n"
            "name in\n"
            ".Xr master 5\n"
            "for Postfix.\n"
            "An override can say otherwise.\n"
            "If empty, the transport that the mail system would use anyway."},
    {AT(exim_sts_transport), TEXT(text_read_label, ""),
     .doc = "The transport of Exim that verifies hosts by their names, for\n"
            "domains with an MTA-STS policy, see\n"
            ".Va mta_sts\n"
            "and\n"
            ".Xr mxhop_exim 7 .\n"
            "If empty, Exim does not keep to policies, and mail for these\n"
            "domains goes as it would without mxhop."},
    {AT(defer_service), TEXT(text_read_service, "./retry"),
     .doc = "The service of Postfix that mail is given to where the answer is\n"
            "to defer it, by its name in\n"
            ".Xr master 5 ,\n"
            "with\n"
            ".Ql ./\n"
            "before it or without.\n"
            "The mail waits in the queue with the reason.\n"
            "With\n"
            ".Cm retry\n"
            "Postfix answers 450 to clients as well: for recipients in relay\n"
            "domains and from submission clients, and to senders with\n"
            ".Cm reject_unlisted_sender ."},
    {AT(max_hops), NUMBER(PARAM_INTEGER, "3", 1, 100),
     .doc = "How many hosts a list has at most.\n"
            "Of a domain's MX records the best 31 are listed.\n"
            "The limits of Postfix on addresses and sessions\n"
            ".Pq Va smtp_mx_address_limit , smtp_mx_session_limit\n"
            "count anew for each of them."},
    {AS("rotate_interval", rotate_interval_s),
     NUMBER(PARAM_TIME_S, "10m", 10 * SECONDS, 7 * DAYS), .unit = "s",
     .doc = "How often the order of equally preferred hosts changes.\n"
            "Between two changes a list stays the same, because each order is\n"
            "a queue of its own."},
    {AT(seed), TEXT(text_read_printable, ""),
     .doc = "Any text.\n"
            "Systems with the same seed order equally preferred hosts in the\n"
            "same way, others differently, which spreads the load.\n"
            "If empty, the name of the machine."},
};

const size_t n_params = sizeof(params) / sizeof(params[0]);
_Static_assert(sizeof(params) / sizeof(params[0]) <= PARAMS_MAX,
               "raise PARAMS_MAX");
