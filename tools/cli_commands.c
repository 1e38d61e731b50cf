/* SPDX-License-Identifier: MIT */
/* The one list of commands. Help, man pages and completion are made from it. */
#include "cli.h"

#include <string.h>

static const struct cli_option epochs_options[] = {{"-n", "N", "how many, at most 256 (default 20)"}, {0}};

static const struct cli_option events_options[] = {{"-n", "N", "how many, at most 512 (default 100)"},
                                                   {"-f", NULL, "goes on with what happens next, until it is interrupted; --watch S sets how often it asks"},
                                                   {0}};

static const struct cli_option top_options[] = {{"-b", NULL, "batch: plain text instead of a live screen, one screen unless -n says more"},
                                                {"-n", "N", "ends after N screens"},
                                                {"--sort", "COLUMN", "contact (default), name, sent, received or refused"},
                                                {0}};

static const struct cli_option create_options[] = {
    {"--data", "SAMPLE", "a table with the columns and classes that all nodes will have; a few rows are enough"},
    {"--label", "COLUMN", "last (default), first, a number from 0, or a name"},
    {"--model", "SPEC", "softmax (default), mlp:H1[,H2] or ridge"},
    {"--epoch-length", "TIME", "like 60s (default) or 10m"},
    {"--scale", "HOW", "none (default), divide:X, or standard: measured on the sample, and then public"},
    {"--impute", "NUMBER", "stands for missing values; without it they are refused"},
    {"--admission", "HOW", "who may join: invite (default), private, or open"},
    {"--name", "NAME", "of the network (default: that of the folder)"},
    {"--no-columns", NULL, "keeps the names of the columns out of the descriptor"},
    {"--unit", "UNIT", "what is protected: record (one example of a node), node (all that a node has), or off"},
    {"--epsilon", "X", "unit node: the most that may be spent in all epochs (default 8); each node sets its own limit, too"},
    {"--delta", "D", "unit node: the delta at which it holds (default 1e-5)"},
    {"--epochs", "E", "unit node: for how many epochs that must last (default 100)"},
    {"--data-is-public", NULL, "anybody may know SAMPLE: its columns may be measured where privacy is on"},
    {"--set", "KEY=VALUE", "any option of a network; may be given again"},
    {0}};

static const struct cli_option invite_options[] = {
    {"--address", "IP:PORT", "where a node can be reached; the first invite of a network makes the node there"},
    {"--from", "DIR", "a node's directory on this machine, whose address and key go into the invite"},
    {"--uses", "HOW", "one (default): admits one device; many: all that get it"},
    {"--expires", "TIME", "how long the membership lasts, like 30d (default 365d)"},
    {"--slot", "N", "of a member's three guests"},
    {"--out", "FILE", "where to write the invite (default: standard output)"},
    {0}};

static const struct cli_option init_options[] = {{"--data", "FILE", "the rows that this node learns from; they never leave it"},
                                                 {"--label", "COLUMN", "last (default), first, a number from 0, or a name"},
                                                 {"--join", "INVITE", "the invite file, or the descriptor of an open network"},
                                                 {"--listen", "IP:PORT", "where the node listens"},
                                                 {"--address", "IP:PORT", "where others reach it, if that is somewhere else"},
                                                 {"--name", "NAME", "shown to others beside the id"},
                                                 {"--dataset", "NAME", "your name for these data: the privacy budget belongs to them (default: that of DIR)"},
                                                 {"--records", "N", "how many there are, as a round figure that anybody may know (default: rows, rounded "
                                                  "down)"},
                                                 {"--epsilon", "X", "the most that may ever be spent on them (default 8)"},
                                                 {"--delta", "D", "the delta at which it holds (default 1e-5)"},
                                                 {"--epochs", "E", "unit record: for how many epochs the budget must last (default 200)"},
                                                 {"--set", "KEY=VALUE", "any option of a node; may be given again"},
                                                 {0}};

static const struct cli_option renew_options[] = {{"--join", "INVITE", "a new invite of the same network"}, {0}};

static const struct cli_option check_options[] = {{"--set", "KEY=VALUE", "checks as if this were set; may be given again"}, {0}};

static const struct cli_option list_options[] = {{"--changed", NULL, "only what differs from its default"}, {0}};

static const struct cli_option export_options[] = {{"--format", "FORMAT", "safetensors (default), npy or csv"}, {0}};

static const struct cli_option predict_options[] = {{"--data", "FILE", "a table with the network's columns, with or without labels"},
                                                    {"--label", "COLUMN", "the column to compare with; none: there is none"},
                                                    {"--out", "FILE", "where to write the predictions (default: standard output)"},
                                                    {0}};

static const struct cli_option epsilon_options[] = {
    {"--q", "Q", "probability with which a record is in a step; 1: every record is"},
    {"--sigma", "Z", "standard deviation of the noise of a step, divided by the clip norm"},
    {"--steps", "T", "how many such steps"},
    {"--delta", "D", "the delta at which epsilon holds"},
    {"--plain", NULL, "the number alone"},
    {0}};

static const struct cli_option plan_options[] = {
    {"--records", "N", "about how many records there are: a round figure that anybody may know"},
    {"--epsilon", "X", "what all epochs together may cost"},
    {"--delta", "D", "the delta at which it holds (default 1e-5)"},
    {"--epochs", "E", "for how many epochs the budget must last"},
    {"--batch", "B", "unit record: records of a step, on average"},
    {"--steps", "S", "unit record: steps of an epoch"},
    {"--unit", "UNIT", "record (default): protects one example; node: all that a node has"},
    {"--honest", "H", "unit node: honest shares of noise that a sum counts on; 1: everybody adds all of it"},
    {"--colluders", "F", "unit node: members of a cohort that may collude or add no noise (default 3)"},
    {"--cohort", "C", "unit node: members of a cohort"},
    {"--block", "K", "unit node: coordinates that a cohort shares in an epoch; with it the audit's price is counted"},
    {"--adjacency", "HOW", "unit node: zero-out (default), or replace, which costs twice the noise"},
    {0}};

const struct cli_command cli_commands[] = {
    {.name = "status", .arguments = "", .kind = CLI_VIEW, .has_dump = true, .run = cli_status,
     .summary = "one screen about the node: epoch, model, peers, privacy, traffic; what is wrong stands on top",
     .detail = "With --dump: a line KEY TAB VALUE for each value, with the names that --json has (node.id, epoch.number).",
     .example = "starling -d ~/n1 status --watch 5"},
    {.name = "peers", .arguments = "[ID]", .kind = CLI_VIEW, .has_dump = true, .run = cli_peers,
     .summary = "the peers that the node knows, newest contact first; with ID one of them in detail",
     .detail = "ID is the beginning of an id, as long as it needs to be unique. DIR: who dialled. TX, RX: bytes sent and received.\n"
               "Columns that a narrow terminal has no room for are left out.\n"
               "With --dump: id, name, address, direction, state, seconds since contact, milliseconds of a round trip, epoch, "
               "reputation, bytes sent, bytes received, messages refused; - for what is not known.",
     .example = "starling -d ~/n1 peers\nstarling -d ~/n1 peers 3f2a"},
    {.name = "epochs", .arguments = "[EPOCH]", .options = epochs_options, .kind = CLI_VIEW, .has_dump = true, .run = cli_epochs,
     .summary = "the last epochs: what was trained, shared and merged, and when each phase ended; with EPOCH one of them in words",
     .detail = "COHORT: members in the own cohort's aggregate (4 of 5: it began with five), or void. MERGED: aggregates that went into the model. FORM, TRAIN, "
               "COMMIT, OPEN, RESULT, PULL: seconds from the beginning of the epoch to the end of that phase. - means: did not happen.\n"
               "With --dump: epoch, begin (unix seconds), steps, cohort members, aggregate (yes or no), void (yes or no), pulled, merged, "
               "members merged, score, six phases in seconds, bytes sent, bytes received, milliseconds of CPU, note, end of the sharing of keys, "
               "of the audit and of unmasking in seconds, id of who proposed the cohort, members it began with.",
     .example = "starling -d ~/n1 epochs -n 5\nstarling -d ~/n1 epochs 1190332"},
    {.name = "events", .arguments = "", .options = events_options, .kind = CLI_VIEW, .has_dump = true, .run = cli_events,
     .summary = "what happened in the node, a line each",
     .detail = "With --json -f: an object a line, without the frame of other answers.\n"
               "With --dump: sequence number, time (unix seconds), epoch, type, peer, two numbers whose meaning depends on the type, text.",
     .example = "starling -d ~/n1 events -f"},
    {.name = "top", .arguments = "", .options = top_options, .kind = CLI_VIEW, .run = cli_top,
     .summary = "a live view of node, epochs and peers",
     .detail = "Keys: q ends, s sorts the peers by the next column, r turns their order round, a blank asks at once.",
     .example = "starling -d ~/n1 top\nstarling -d ~/n1 top -b -n 3 > screens.txt"},
    {.name = "health", .arguments = "", .kind = CLI_VIEW, .has_dump = true, .run = cli_health,
     .summary = "for supervisors: exit code 0 when the node is healthy, 6 when it is not, and why",
     .detail = "With --dump: a line KEY TAB VALUE for each value, with the names that --json has.",
     .example = "starling -d ~/n1 health || systemctl restart starlingd@n1"},
    {.name = "ban", .arguments = "ID", .kind = CLI_ASKS, .run = cli_ban,
     .summary = "cuts a peer off: no link, no cohort, no aggregate with it",
     .detail = "ID is the beginning of the id of a peer that the node knows, or a whole id.",
     .example = "starling -d ~/n1 ban 3f2a91bc"},
    {.name = "unban", .arguments = "ID", .kind = CLI_ASKS, .run = cli_unban,
     .summary = "lets a banned peer in again",
     .detail = "ID is the beginning of the id of a peer that the node knows, or a whole id.",
     .example = "starling -d ~/n1 unban 3f2a91bc"},
    {.name = "leave", .arguments = "", .kind = CLI_ASKS, .run = cli_leave,
     .summary = "tells the peers goodbye; the node takes part no more until it is started again",
     .example = "starling -d ~/n1 leave"},
    {.name = "checkpoint", .arguments = "", .kind = CLI_ASKS, .run = cli_checkpoint,
     .summary = "returns when the node's state and address book are safe on the disk",
     .example = "starling -d ~/n1 checkpoint && cp -r ~/n1 /backup"},
    {.name = "network create", .arguments = "NET --data SAMPLE", .options = create_options, .run = cli_network,
     .summary = "makes a new network: its descriptor and the operator's key, in the new folder NET",
     .example = "starling network create net --data sample.csv --model mlp:64"},
    {.name = "invite", .arguments = "[NET]", .options = invite_options, .run = cli_invite,
     .summary = "writes an invite: the file that lets a device join",
     .detail = "By the operator from the network's folder NET; without NET by a member from its node's directory (-d), which may "
               "invite three guests.",
     .example = "starling invite net --address 10.0.0.7:7400 > join.star"},
    {.name = "init", .arguments = "DIR --data FILE --join INVITE", .options = init_options, .run = cli_init,
     .summary = "makes a node's directory from an invite, after comparing its data with what the network learns from",
     .detail = "DIR must be new or empty; nothing is ever overwritten. Where the network protects examples (privacy.unit = record) or nodes, the node's budget "
               "is asked for at a terminal, unless flags give it; noise, sampling rate and steps follow from it.",
     .example = "starling init ~/n1 --data mine.csv --label last --join join.star"},
    {.name = "key show", .arguments = "[DIR]", .run = cli_key,
     .summary = "who the node is: id, public keys, until when it is a member; secrets stay hidden",
     .example = "starling key show ~/n1"},
    {.name = "key renew", .arguments = "[DIR] --join INVITE", .options = renew_options, .run = cli_key,
     .summary = "a new certificate for the same node, from a new invite",
     .example = "starling key renew ~/n1 --join again.star"},
    {.name = "config check", .arguments = "[DIR]", .options = check_options, .run = cli_config,
     .summary = "checks all that starlingd checks when it starts: options, keys, data",
     .example = "starling config check ~/n1"},
    {.name = "config list", .arguments = "[DIR]", .options = list_options, .run = cli_config,
     .summary = "the options with their values; without a directory the defaults",
     .example = "starling config list ~/n1 --changed"},
    {.name = "config get", .arguments = "KEY [DIR]", .run = cli_config,
     .summary = "the value of one option, and what it means",
     .example = "starling config get epoch.length ~/n1"},
    {.name = "model export", .arguments = "FILE", .options = export_options, .run = cli_model,
     .summary = "writes the saved model for other programs",
     .example = "starling -d ~/n1 model export model.safetensors"},
    {.name = "model info", .arguments = "", .run = cli_model,
     .summary = "what the saved model is: layers, epoch, columns, classes",
     .example = "starling -d ~/n1 model info"},
    {.name = "predict", .arguments = "--data FILE", .options = predict_options, .run = cli_predict,
     .summary = "applies the saved model to a table, and says how good it is where the table has labels",
     .example = "starling -d ~/n1 predict --data new.csv --out predictions.csv"},
    /* The long names first: `privacy` alone is the beginning of all of them. */
    {.name = "privacy plan", .arguments = "--records N --epochs E --epsilon X", .options = plan_options, .run = cli_privacy_plan,
     .summary = "how much noise an epsilon takes, and which options say so to a node",
     .detail = "Works on numbers alone: no node, no data. Unit record wants --batch and --steps too, unit node --honest.",
     .example = "starling privacy plan --records 600 --batch 120 --steps 5 \\\n    --epochs 30 --epsilon 3\n"
                "starling privacy plan --unit node --honest 16 --colluders 10 --cohort 32 \\\n    --records 600 --epochs 20 --epsilon 8"},
    {.name = "privacy epsilon", .arguments = "--q Q --sigma Z --steps T --delta D", .options = epsilon_options, .run = cli_privacy_epsilon,
     .summary = "what noised steps cost together: epsilon, and the order of the accountant that gave it",
     .detail = "Works on numbers alone: no node, no ledger. Q, Z and T may be lists of the same length, parted by |, for steps of several kinds.",
     .example = "starling privacy epsilon --q 0.2 --sigma 3.84 --steps 150 --delta 1e-5\n"
                "starling privacy epsilon --q '1|0.05' --sigma '10|1.2' --steps '20|300' \\\n    --delta 1e-5"},
    {.name = "privacy reset", .arguments = "[DIR] --dataset NAME", .run = cli_privacy_reset,
     .summary = "begins a new budget for new data; the old ledger is kept under another name",
     .example = "starling privacy reset ~/n1 --dataset 'ward 7, 2027'"},
    {.name = "privacy", .arguments = "[DIR]", .kind = CLI_VIEW, .has_dump = true, .run = cli_privacy_show,
     .summary = "what the node has spent of its privacy budget, what is left, what it protects, and what not",
     .example = "starling -d ~/n1 privacy"},
    {.name = "version", .arguments = "", .run = cli_version,
     .summary = "the version of starling and of the libraries it uses",
     .example = "starling version"},
    {.name = "help", .arguments = "[COMMAND]", .run = cli_help,
     .summary = "the list of commands, or all about one",
     .example = "starling help peers"},
    {0}};

const struct cli_option cli_common_options[] = {
    {"-d", "DIR", "the node's directory (default: STARLING_DIR, else the working directory if it is one)"},
    {"--json", NULL, "one object on standard output: {\"schema_version\": 1, \"status\": \"ok\", \"data\": {...}}"},
    {"--dump", NULL, "views only: plain values in a fixed order, parted by tabs, without titles"},
    {"--watch", "[SECONDS]", "views only: shows it again and again (default every 2 seconds)"},
    {"--full-ids", NULL, "ids with all their 64 digits"},
    {"--timeout", "SECONDS", "how long to wait for the node (default 5)"},
    {"--help", NULL, "all about a command"},
    {0}};

const char *const cli_exit_codes[CLI_CODES] = {"done", "failed", "cannot reach the node", "the node did not answer in time", "bad arguments or configuration",
                                               "internal error", "the node is not healthy"};

/* How many words of the name the words begin with; 0 unless all of the name. */
static int match(const char *name, int argc, char **argv)
{
    if (argc < 1) return 0;

    const char *blank = strchr(name, ' ');
    if (!blank) return strcmp(name, argv[0]) == 0 ? 1 : 0;
    size_t length = (size_t)(blank - name);
    bool begins = strlen(argv[0]) == length && strncmp(name, argv[0], length) == 0;
    return begins && argc >= 2 && strcmp(blank + 1, argv[1]) == 0 ? 2 : 0;
}

const struct cli_command *cli_find(int argc, char **argv)
{
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (match(command->name, argc, argv) > 0) return command;
    return NULL;
}

bool cli_is_group(const char *word)
{
    size_t length = strlen(word);
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (strncmp(command->name, word, length) == 0 && command->name[length] == ' ') return true;
    return false;
}
