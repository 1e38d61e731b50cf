/* SPDX-License-Identifier: MIT */
/* What the node is asked to do: ban, unban, leave, checkpoint. And the version. */
#include <sodium.h>
#include <stdio.h>
#include <zmq.h>

#include "cli.h"
#include "cli_text.h"
#include "runtime/glance.h"

static int ban_or_unban(struct cli *cli, const char *command, const char *done, int argc, char **argv)
{
    json_t *data;
    char id[80];
    if (argc != 2 || argv[1][0] == '-')
        return cli_fail(cli, CLI_ARGUMENTS, "wanted: starling %s ID, with the first digits of a peer's id; `starling peers` lists them", command);

    int code = cli_ask_or_fail(cli, command, json_pack("{s:s}", "peer", argv[1]), &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);

    const char *whole = json_string_value(json_object_get(data, "peer"));
    cli_id_text(whole ? whole : argv[1], cli->full_ids, id, sizeof id);
    printf("%s %s\n", id, done);
    json_decref(data);
    return CLI_OK;
}

int cli_ban(struct cli *cli, int argc, char **argv)
{
    return ban_or_unban(cli, "ban", "is banned; `starling unban` lets it in again", argc, argv);
}

int cli_unban(struct cli *cli, int argc, char **argv)
{
    return ban_or_unban(cli, "unban", "is not banned now and may take part", argc, argv);
}

int cli_leave(struct cli *cli, int argc, char **argv)
{
    json_t *data;
    if (argc != 1) return cli_fail(cli, CLI_ARGUMENTS, "leave takes no words: '%.40s' is one too many", argv[1]);

    int code = cli_ask_or_fail(cli, "leave", NULL, &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);

    puts("the node has left and takes part no more; stop the process to end it, start it again to come back");
    json_decref(data);
    return CLI_OK;
}

int cli_checkpoint(struct cli *cli, int argc, char **argv)
{
    json_t *data;
    if (argc != 1) return cli_fail(cli, CLI_ARGUMENTS, "checkpoint takes no words: '%.40s' is one too many", argv[1]);

    int code = cli_ask_or_fail(cli, "checkpoint", NULL, &data);
    if (code != CLI_OK) return code;
    if (cli->json) return cli_answer(cli, data);

    printf("the state of epoch %lld and the address book are on the disk\n", (long long)json_integer_value(json_object_get(data, "epoch")));
    json_decref(data);
    return CLI_OK;
}

int cli_version(struct cli *cli, int argc, char **argv)
{
    int major, minor, patch;
    (void)argc;
    (void)argv;
    zmq_version(&major, &minor, &patch);
    char zmq[CLI_SHORT_SIZE];
    snprintf(zmq, sizeof zmq, "%d.%d.%d", major, minor, patch);
    if (cli->json) return cli_answer(cli, json_pack("{s:s, s:s, s:s, s:s}", "version", STARLING_VERSION, "zeromq", zmq, "sodium",
                                                    sodium_version_string(), "jansson", JANSSON_VERSION));

    printf("starling %s (ZeroMQ %s, libsodium %s, jansson %s)\n", STARLING_VERSION, zmq, sodium_version_string(), JANSSON_VERSION);
    return CLI_OK;
}
