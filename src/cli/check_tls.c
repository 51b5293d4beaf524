/*
 * check_tls - what keeps MTA-STS policies from being known, or kept to
 *
 * With mta_sts = watch, the way from the name servers to the TLS store:
 * mxhop-tls, the file that it writes, who can read that. With enforce, what
 * the MTA needs to keep to a policy as well: Postfix the table mxhop_tls,
 * certificates of authorities, and for DANE a resolver whose signatures count;
 * Exim a transport, which is Exim's to look at, and for DANE an option in
 * resolv.conf. Whatever mta_sts is, domains that want reports of TLS have no
 * list where Postfix sends them, which is noted.
 *
 * What is wrong with the store is an error with enforce only: then no policy is
 * known, and mail for domains that have one is not as it should be.
 */

#include "cli/check.h"
#include "policy/store.h"
#include "policy/want.h"
#include "util/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- the service, and its store ---- */

static void tls_service(struct check *c, const struct conf *conf)
{
    if (!want_is_heard(conf->tls_store))
        check_say(c, CHECK_WARNING, conf->tls_store, 0,
                  "mxhop-tls is not running for this tls_store: policies are "
                  "neither fetched nor renewed, and end one by one; start it");
    if (conf->tls_ca_file[0] != '\0' && access(conf->tls_ca_file, R_OK) != 0)
        check_say(c, CHECK_WARNING, conf->tls_ca_file, 0,
                  "cannot be read (tls_ca_file): %s; mxhop-tls does not start "
                  "without it",
                  strerror(errno));
}

static const char *tls_then(const struct conf *conf)
{
    return conf->mta_sts == MTA_STS_ENFORCE
               ? "no MTA-STS policy is kept to, and domains that may have one "
                 "get no list"
               : "no MTA-STS policy is known";
}

/* Of root's alone: the user of another service that owned a directory there
   could take policies away. What is missing is said elsewhere. */
static void tls_way(struct check *c, const struct conf *conf)
{
    char way[PATH_MAX];
    int fd = file_open_dir(conf->tls_store, way);

    if (fd >= 0)
        close(fd);
    else if (errno == 0)
        check_say(c, CHECK_WARNING, conf->tls_store, 0,
                  "%s is not root's alone: others can put another TLS store "
                  "in its place; move it, with tls_store, to where only root "
                  "can",
                  way);
}

static void tls_store(struct check *c, const struct conf *conf,
                      const char *user)
{
    bool enforce = conf->mta_sts == MTA_STS_ENFORCE, missing;
    enum check_level level = enforce ? CHECK_ERROR : CHECK_WARNING;
    struct store *s = NULL;
    struct mxhop_error err;
    char path[PATH_MAX];

    if (store_open(&s, conf->tls_store, false, &missing, &err) != MXHOP_OK) {
        check_say(c, level, err.text, 0, "%s%s", tls_then(conf),
                  missing ? "; mxhop-tls makes the file when it starts" : "");
        return;
    }
    snprintf(path, sizeof(path), "%s/" STORE_FILE, conf->tls_store);
    if (check_readable(c, level, path, user, tls_then(conf)) && enforce &&
        store_count(s) == 0)
        check_say(c, CHECK_WARNING, path, 0,
                  "is empty: nothing is known of the domains that you send to, "
                  "and each first message waits for a policy or goes without; "
                  "run for some days with mta_sts = watch first");
    store_close(&s);
}

/* ---- Postfix ---- */

/* `why` begins with the service, if it is of master.cf. */
static void tls_say_why(struct check *c, struct view *v, enum check_level level,
                        const char *why, const char *then)
{
    static const char master[] = "master.cf: ";
    const char *place = v->postfix.main;

    if (strncmp(why, master, strlen(master)) == 0) {
        place = v->postfix.master;
        why += strlen(master);
    }
    check_say(c, level, place, 0, "%s; %s", why, then);
}

static bool tls_wants_dane(struct view *v)
{
    const char *level = postconf_param(&v->postfix, "smtp_dns_support_level");

    return level != NULL && strcasecmp(level, "dnssec") == 0;
}

/* proxymap(8) does not know who asks. */
static void tls_proxied(struct check *c, struct view *v, const char *where,
                        const char *maps)
{
    char why[512];

    if (view_names_tls(v, maps) != VIEW_TLS_PROXIED)
        return;
    snprintf(why, sizeof(why), "%ssmtp_tls_policy_maps = %.300s", where, maps);
    tls_say_why(c, v, CHECK_WARNING, why,
                "behind proxy: " TLS_TABLE_TYPE " answers for hosts of lists "
                "only, and domains that get no list are not held to their "
                "policy; write it without proxy:");
}

struct tls_services {
    struct check *c;
    struct view *v;
};

static bool tls_proxied_service(void *ctx, const struct master_service *s)
{
    const struct tls_services *t = ctx;
    char where[128];

    snprintf(where, sizeof(where), "master.cf: %.100s: -o ", s->name);
    for (size_t i = 0; i < s->n_options; i++)
        if (strcmp(s->options[i].name, "smtp_tls_policy_maps") == 0)
            tls_proxied(t->c, t->v, where,
                        postconf_expand(&t->v->postfix, s->options[i].value));
    return true;
}

/* smtp(8) reads the file before it enters a jail, and the directory later. */
static void tls_authorities(struct check *c, struct view *v)
{
    const char *file = postconf_param(&v->postfix, "smtp_tls_CAfile");
    char why[512];

    if (file == NULL || *file == '\0' || access(file, R_OK) == 0)
        return;
    snprintf(why, sizeof(why), "smtp_tls_CAfile = %.300s: %s", file,
             strerror(errno));
    tls_say_why(c, v, CHECK_ERROR, why,
                "no certificate can be verified, and mail for domains with an "
                "MTA-STS policy waits");
}

static void tls_postfix(struct check *c, struct mxhop *mx, struct view *v)
{
    unsigned classes;
    char why[512];
    bool all = postfix_tls_classes(&v->config, &classes, why, sizeof(why));

    if ((classes & POSTFIX_CLASS_STS) == 0)
        tls_say_why(c, v, CHECK_ERROR, why,
                    "mta_sts = enforce, but until then no list is held to an "
                    "MTA-STS policy, and Postfix routes domains that have one "
                    "by itself");
    else
        tls_authorities(c, v);
    tls_proxied(c, v, "", postconf_param(&v->postfix, "smtp_tls_policy_maps"));
    (void)master_services(v->postfix.master, tls_proxied_service,
                          &(struct tls_services){c, v});
    if ((classes & POSTFIX_CLASS_STS) == 0 || !tls_wants_dane(v))
        return;
    if (!all)
        tls_say_why(c, v, CHECK_WARNING, why,
                    "until then no list is held to DANE");
    else if (!probe_believes_signatures(mx))
        check_say(c, CHECK_WARNING,
                  probe_conf(mx)->dns_servers[0] != '\0' ? "dns_servers"
                                                         : "/etc/resolv.conf",
                  0,
                  "signatures do not count, and no list is held to DANE: the "
                  "name servers are not all on this machine, and resolv.conf "
                  "has no `options trust-ad'; use a resolver that validates, "
                  "on this machine or behind a link that you trust, with that "
                  "option");
}

static void tls_reports(struct check *c, struct mxhop *mx, struct view *v)
{
    if (probe_asks_for_reports(mx))
        check_say(c, CHECK_NOTE, v->postfix.main, 0,
                  "smtp_tlsrpt_enable: domains that want reports of TLS get no "
                  "list, so that Postfix can report (tlsrpt = auto); `mxhop "
                  "survey' counts them");
}

/* ---- Exim ---- */

static void tls_exim(struct check *c, const struct conf *conf,
                     const char *config)
{
    check_say(c, CHECK_NOTE, config, 0,
              "exim_sts_transport = %s: whether Exim has this transport, and "
              "verifies hosts in it, is not seen from here; see mxhop_exim(7)",
              conf->exim_sts_transport);
    if (!probe_libc_believes_signatures())
        check_say(c, CHECK_WARNING, "/etc/resolv.conf", 0,
                  "has no `options trust-ad': Exim does no DANE then, with a "
                  "resolver on this machine either; hosts with TLSA records "
                  "are held to the MTA-STS policy alone");
}

/* ---- */

void check_tls(struct check *c, struct mxhop *mx, struct view *v,
               const char *config, const char *user)
{
    const struct conf *conf = probe_conf(mx);

    tls_reports(c, mx, v);
    if (conf->mta_sts == MTA_STS_OFF)
        return;
    tls_service(c, conf);
    tls_way(c, conf);
    tls_store(c, conf, user);
    if (conf->mta_sts != MTA_STS_ENFORCE)
        return;
    if (v->taken)
        tls_postfix(c, mx, v);
    else if (conf->exim_sts_transport[0] != '\0')
        tls_exim(c, conf, config);
    else if (!v->plain)
        check_say(c, CHECK_ERROR, config, 0,
                  "mta_sts = enforce, but nobody keeps to policies: %s, and "
                  "for Exim exim_sts_transport is not set",
                  v->skipped);
}
