/* Uses of data, by the first byte of the input: a line of the log, a statement that was kept, a proof of anybody. What is read
   is written again as it was; a statement that is read has a tree, and proofs of it that hold get no worse by being read. */
#include "consent/record.h"
#include "consent/uses.h"
#include "crypto.h"
#include "require.h"

static void line_of_anybody(const char *text, size_t size)
{
    struct cl_use_line line;
    struct cl_buffer again = {0};
    if (cl_use_line_decode(&line, text, size) != CL_OK)
        return;
    require(memchr(text, '\n', size) == NULL);
    require(cl_use_line_encode(&again, &line) == CL_OK);
    require(again.length == size + 1 && memcmp(again.data, text, size) == 0 && again.data[size] == '\n');
    cl_buffer_deinit(&again);
}

static void statement_of_anybody(const uint8_t *data, size_t size)
{
    struct cl_uses_statement statement;
    struct cl_uses_tree *tree = NULL;
    struct cl_buffer again = {0}, proof = {0};
    static const struct cl_network_id network = {{1}};
    static const uint8_t nothing[1] = {0};
    if (cl_uses_statement_decode(&statement, data, size) != CL_OK)
        return;
    require(cl_uses_statement_encode(&again, &statement) == CL_OK);
    require(again.length == size && memcmp(again.data, data, size) == 0);
    require(cl_uses_tree_new(&tree, &statement) == CL_OK);
    for (size_t i = 0; i < statement.account_count && i < 8; i++) {
        struct cl_object_id beside = statement.accounts[i].agreement;
        proof.length = 0;
        require(cl_uses_prove(&proof, tree, &network, (struct cl_view){nothing, 1}, (struct cl_view){nothing, 1}, &beside) == CL_OK);
        beside.bytes[31] ^= 1;
        proof.length = 0;
        require(cl_uses_prove(&proof, tree, &network, (struct cl_view){nothing, 1}, (struct cl_view){nothing, 1}, &beside) == CL_OK);
    }
    cl_uses_tree_free(tree);
    cl_uses_statement_deinit(&statement);
    cl_buffer_deinit(&again);
    cl_buffer_deinit(&proof);
}

/* The policy of tests/vectors/uses.json: its proofs, which are in the corpus, hold under it. */
static const char policy_text[] =
    "log ledger.example/consent+db841b23+AUjWGmROEc16I1CO1fV7yhXFqvvBRxyOGiH90iDTQFvt\n"
    "log ledger.example/consent+edaf35ee+AVMPO2e3MfRTyAtjbFMuN4zC8khqTAnpfAj1x4qku6Rs\n"
    "log ledger.example/consent+ba7a930d+Adxl5YKv6IieWyGshMtIT2wZIbbLoi3NOPwTuQDF3GTA\n"
    "log ledger.example/consent+cbb1f887+AWrjjqO7MMFeFfOM32oprjC1oWrYOEQDl9IKWD3NGehN\n"
    "witness member-0 ledger.example/consent/member-0+711191a0+BIJdNHCOqAjC/AHBjPgtE1qgCYrmavELbl+pXRRukYb7\n"
    "witness member-1 ledger.example/consent/member-1+3fda8f62+BFio6lDpJo4XRKzt2QN6bhLZFvwtlye7Lxf698pCQQYe\n"
    "witness member-2 ledger.example/consent/member-2+4f72e542+BPz0OZRdlm/Oo532yH8lTJ6HVNaBTLbq1JobGjk9WPTF\n"
    "witness member-3 ledger.example/consent/member-3+9eed625a+BL2m3DrCLKIXD9uNp1PckNokC+fR3cR3LAq8Y4FMW//M\n"
    "group consortium 3 member-0 member-1 member-2 member-3\n"
    "quorum consortium\n";

static void proof_of_anybody(const uint8_t *data, size_t size)
{
    static struct cl_policy *policy;
    static struct cl_uses_report report;
    struct cl_use use;
    size_t count = 0;
    if (policy == NULL)
        require(cl_policy_new(&policy, NULL, (const uint8_t *)policy_text, sizeof policy_text - 1) == CL_OK);
    if (cl_uses_verify(&report, data, size, policy) != CL_OK)
        return;
    require(report.from_s < report.until_s && (report.named || report.use_count == 0));
    for (uint64_t before = 0; cl_use_take(&use, &report.items); before = use.time_ms, count++)
        require(use.slot < 64 && use.time_ms >= before && use.time_ms / 1000 >= report.from_s && use.time_ms / 1000 < report.until_s);
    require(count == report.use_count && report.items.length == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0: line_of_anybody((const char *)data + 1, size - 1); break;
    case 1: statement_of_anybody(data + 1, size - 1); break;
    default: proof_of_anybody(data + 1, size - 1); break;
    }
    return 0;
}
