/* May it be delivered, and is it from whom it says: the same questions at both ends of a delivery. Pure. */
#include "consent/delivery.h"

enum cl_status cl_delivery_check(const struct cl_agreement *agreement, enum cl_side from, bool has_slot, uint8_t slot, uint64_t now_ms)
{
    if (from != CL_SIDE_CUSTOMER && from != CL_SIDE_ORGANISATION)
        return CL_E_PARTY;
    if (has_slot && slot > 63)
        return CL_E_SLOTS;
    return cl_agreement_check(agreement, has_slot ? 1ull << slot : 0, now_ms);
}

bool cl_delivery_connects(const struct cl_delivery *delivery)
{
    return delivery->kind == CL_DELIVERY_NOTICE && (strcmp(delivery->media_type, CL_MEDIA_TYPE_CONTACT) == 0 || strcmp(delivery->media_type, CL_MEDIA_TYPE_CODE) == 0 || strcmp(delivery->media_type, CL_MEDIA_TYPE_BODY) == 0);
}

enum cl_status cl_delivery_connecting_check(const struct cl_agreement *agreement, enum cl_side from, uint64_t now_ms)
{
    enum cl_status status = cl_delivery_check(agreement, from, false, 0, now_ms);
    if (status != CL_E_NOT_YET && (status != CL_E_NOT_ACTIVE || agreement->status > CL_ACTIVE))
        return status;
    const struct cl_party *party = from == CL_SIDE_CUSTOMER ? &agreement->customer : &agreement->organisation;
    if (agreement->not_after.present && now_ms / 1000 >= agreement->not_after.seconds)
        return CL_E_EXPIRED;
    return party->length != 0 ? CL_OK : CL_E_PARTY;
}

/* records.md: a delegate acts within its powers, before its end. Those in an agreement name their side, those of a PROFILE
   or of TERMS have none to name. */
static bool delegate_may(const struct cl_delegation *list, size_t count, uint8_t side, const struct cl_public_key *key, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].side == side && memcmp(list[i].key, key->bytes, 33) == 0)
            return (list[i].powers & CL_POWER_DELIVER) != 0 && now_ms / 1000 < list[i].until;
    return false;
}

enum cl_status cl_delivery_signer_check(const struct cl_agreement *agreement, enum cl_side from, const struct cl_delivery_signers *signers, const struct cl_public_key *key, uint64_t now_ms)
{
    bool may = memcmp(key->bytes, signers->key.bytes, 33) == 0 ||
               delegate_may(signers->delegations, signers->delegation_count, 0, key, now_ms) ||
               delegate_may(agreement->delegations, agreement->delegation_count, (uint8_t)from, key, now_ms);
    return may ? CL_OK : CL_E_DELIVERY_SENDER;
}

enum cl_status cl_delivery_part_check(const struct cl_delivery_part *part, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, enum cl_side own, const struct cl_delivery_signers *other, uint64_t now_ms)
{
    const struct cl_delivery *delivery = &part->delivery;
    if (memcmp(delivery->network.bytes, network->bytes, 32) != 0)
        return CL_E_NETWORK;
    if (memcmp(delivery->agreement.bytes, id->bytes, 32) != 0)
        return CL_E_DELIVERY_AGREEMENT;
    if (own == CL_SIDE_NONE || delivery->from == own)
        return CL_E_PARTY;
    if (delivery->sent_ms > now_ms + CL_RECORD_AHEAD_MS_MAX)
        return CL_E_TIME_AHEAD;
    enum cl_status status = cl_delivery_signer_check(agreement, delivery->from, other, &part->signer, now_ms);
    if (status != CL_OK)
        return status;
    if (cl_delivery_connects(delivery))
        return cl_delivery_connecting_check(agreement, delivery->from, now_ms);
    return cl_delivery_check(agreement, delivery->from, delivery->has_slot, delivery->slot, now_ms);
}
