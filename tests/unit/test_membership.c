/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/files.h"
#include "runtime/membership.h"
#include "starling/error.h"
#include "starling/identity.h"

enum { DAY_S = 24 * 3600 };

static char folder[] = "/tmp/starling-membership-XXXXXX", why[SL_WHY_SIZE];
static uint8_t operator_secret[64];
static struct sl_setup setup;

static void make_folder(void)
{
    cr_assert_geq(sodium_init(), 0);
    cr_assert_not_null(mkdtemp(folder));
    sl_config_init(&setup.config);
    setup.folder = folder;
    memset(setup.config.network_id, 7, 32);
    crypto_sign_keypair(setup.config.operator_key, operator_secret);
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(membership, .init = make_folder, .fini = remove_folder);

static void write_text(const char *name, const char *text)
{
    cr_assert_eq(sl_file_put(folder, name, text, strlen(text), 0600, false), SL_OK);
}

/* identity.key and admission.cert of a fresh node. */
static void join_until(uint64_t expires_s, struct sl_identity *identity)
{
    uint8_t seed[32];
    struct sl_secrets secrets;
    char hex[2 * SL_PEER_CERTIFICATE_MAX + 1];
    randombytes_buf(seed, sizeof seed);
    sl_identity_from_seed(seed, setup.config.network_id, operator_secret, "10.0.0.7:7400", expires_s, identity, secrets.transport_secret);
    memcpy(secrets.sign_secret, identity->sign_secret, 64);
    cr_assert_eq(sl_secrets_write(folder, "identity.key", &secrets, why, sizeof why), SL_OK);
    sodium_bin2hex(hex, sizeof hex, identity->certificate, identity->certificate_size);
    write_text("admission.cert", hex);
}

Test(membership, a_node_that_joined_is_who_its_key_says_until_its_certificate_ends)
{
    struct sl_identity identity;
    uint64_t expires_s = (uint64_t)time(NULL) + 30 * DAY_S;
    join_until(expires_s, &identity);

    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_OK, "%s", why);

    cr_assert_eq(memcmp(setup.identity.id, identity.id, 32), 0);
    cr_assert_eq(setup.certificate_expires_s, expires_s);
    cr_assert_str_eq(setup.identity.address, "127.0.0.1:7400", "node.listen, as nothing else is said");
    cr_assert_eq(setup.config.n_peers, 0);
    cr_assert_null(setup.config.network_secret);
}

Test(membership, an_expired_certificate_is_refused_with_its_age)
{
    struct sl_identity identity;
    join_until((uint64_t)time(NULL) - 3 * DAY_S, &identity);

    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_ERROR_BAD_CERTIFICATE);

    cr_assert_not_null(strstr(why, "expired 3.0 days ago"), "%s", why);
    cr_assert_not_null(strstr(why, "new invite"));
}

Test(membership, a_certificate_of_another_network_is_refused)
{
    struct sl_identity identity;
    join_until((uint64_t)time(NULL) + DAY_S, &identity);
    setup.config.network_id[0] ^= 1;

    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_ERROR_BAD_CERTIFICATE);

    cr_assert_not_null(strstr(why, "does not admit"), "%s", why);
}

Test(membership, an_address_of_its_own_is_told_and_a_wildcard_is_none)
{
    struct sl_identity identity;
    join_until((uint64_t)time(NULL) + DAY_S, &identity);
    cr_assert_eq(sl_config_set(&setup.config, "node.listen", "0.0.0.0:7400", why, sizeof why), SL_OK);
    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_OK, "%s", why);
    cr_assert_str_empty(setup.identity.address);

    cr_assert_eq(sl_config_set(&setup.config, "node.address", "203.0.113.5:7400", why, sizeof why), SL_OK);
    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_OK, "%s", why);
    cr_assert_str_eq(setup.identity.address, "203.0.113.5:7400");
}

Test(membership, seeds_are_read_and_too_many_are_refused)
{
    struct sl_identity identity;
    static char list[80 * (SL_SETUP_SEEDS_MAX + 2)];
    char key[65];
    join_until((uint64_t)time(NULL) + DAY_S, &identity);
    sodium_bin2hex(key, sizeof key, identity.transport_public, 32);
    for (int i = 0; i < SL_SETUP_SEEDS_MAX; i++) snprintf(list + strlen(list), 100, "%s 10.0.0.%d:7400\n", key, i + 1);
    write_text("seeds.list", list);
    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_OK, "%s", why);
    cr_assert_eq(setup.config.n_seeds, SL_SETUP_SEEDS_MAX);
    cr_assert_str_eq(setup.config.seeds[9].address, "10.0.0.10:7400");

    snprintf(list + strlen(list), 100, "%s 10.0.0.99:7400\n", key);
    write_text("seeds.list", list);
    setup.n_seeds = 0;
    cr_assert_eq(sl_membership_read(&setup, why, sizeof why), SL_ERROR_TOO_LARGE);
    cr_assert_not_null(strstr(why, "line 65"), "%s", why);
}
