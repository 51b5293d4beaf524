#include "source/ldap_settings.h"
#include "util/err.h"
enum mxhop_status ldap_postfix_read(struct ldap_settings *s, const char *path,
                                    struct mxhop_error *err)
{
    (void)s;
    return err_set(err, MXHOP_ERR_CONFIG, "ldap_config: %s: not yet", path);
}
