-- Tighter guards of what leaves the company; functions that exist are replaced whole (the newest file counts).

-- What a case carries (P17; 17 USC 512(g)(2)(B)): the contact after silence, to that complainant alone; and what the
-- customer signed. Empty means nothing is wrong, or that the basis is another one.
CREATE FUNCTION public.disclosure_case_refusal(a_basis text, an_account uuid, a_recipient uuid, a_case uuid)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    about record;
    told record;
BEGIN
    IF a_basis NOT IN ('abuse_case', 'counter_notice') THEN
        RETURN NULL;
    END IF;
    SELECT c.account_id, c.complainant_id, c.closed_at, c.kind INTO about
      FROM public.disclosures_abusecase c WHERE c.id = a_case FOR SHARE;
    IF NOT FOUND OR about.account_id IS DISTINCT FROM an_account OR about.closed_at IS NOT NULL THEN
        RETURN 'its case is closed or about somebody else';
    END IF;
    IF about.complainant_id IS DISTINCT FROM a_recipient THEN
        RETURN 'its case is another complainant''s';
    END IF;
    IF NOT public.case_is_valid(a_case) THEN
        RETURN 'its case is not valid';
    END IF;
    SELECT n.id, n.lapsed_at, n.acknowledged_at, n.remedied_at, n.disagreed_at, n.countered_at, n.ended_at INTO told
      FROM public.disclosures_abusenotice n WHERE n."case" = a_case AND n.account_id = an_account FOR SHARE;
    IF told.id IS NULL OR told.ended_at IS NOT NULL THEN
        RETURN 'its customer was told nothing that is still open';
    END IF;
    IF a_basis = 'counter_notice' THEN
        PERFORM 1 FROM public.disclosures_counternotice k
          WHERE k.notice_id = told.id AND k.signed_at IS NOT NULL AND k.stopped_at IS NULL AND k.put_back_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RETURN 'no signed counter-notice runs';
        END IF;
        PERFORM 1 FROM public.disclosures_counternotice k WHERE k.notice_id = told.id AND k.forwarded_at IS NOT NULL;
        IF FOUND THEN
            RETURN 'its counter-notice was forwarded already';
        END IF;
        RETURN NULL;
    END IF;
    IF told.lapsed_at IS NULL THEN
        RETURN 'its customer still has time to answer';
    END IF;
    -- Whoever answers closes the door, late too.
    IF coalesce(told.acknowledged_at, told.remedied_at, told.disagreed_at, told.countered_at) IS NOT NULL
       OR EXISTS (SELECT 1 FROM public.disclosures_abusenoticeitem i WHERE i.notice_id = told.id AND i.fixed_at IS NOT NULL) THEN
        RETURN 'its customer answered';
    END IF;
    RETURN NULL;
END $guard$;
REVOKE ALL ON FUNCTION public.disclosure_case_refusal(text, uuid, uuid, uuid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.disclosure_refusal(
    a_basis text, an_account uuid, a_recipient uuid, a_consent uuid, a_request uuid, an_aggregate uuid,
    wanted text[], wanted_items uuid[], since timestamptz, until timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    whom record;
    asked record;
    given record;
BEGIN
    SELECT r.kind, r.closed_at, r.contract_until INTO whom FROM public.disclosures_recipient r WHERE r.id = a_recipient FOR SHARE;
    IF whom.closed_at IS NOT NULL
       OR (whom.kind = 'partner' AND whom.contract_until < (clock_timestamp() AT TIME ZONE 'UTC')::date) THEN
        RETURN 'its recipient is closed or without a contract';
    END IF;
    -- 18 USC 2702(a)(3)
    IF whom.kind IN ('authority', 'court') AND a_basis NOT IN ('legal_request', 'emergency', 'consent') THEN
        RETURN 'a government body gets nothing on this basis';
    END IF;
    IF a_basis = 'aggregate' THEN
        RETURN NULL;
    END IF;
    IF a_basis = 'consent' THEN
        SELECT g.account_id, g.recipient_id, g.purpose, g.categories, g.given_at, g.expires_at, g.withdrawn_at INTO given
          FROM public.disclosures_consentgrant g WHERE g.id = a_consent FOR SHARE;
        IF NOT FOUND OR given.account_id <> an_account OR given.recipient_id IS DISTINCT FROM a_recipient
           OR given.purpose <> 'sharing' OR given.withdrawn_at IS NOT NULL OR given.expires_at <= clock_timestamp() THEN
            RETURN 'no consent stands';
        END IF;
        IF NOT wanted <@ given.categories::text[] THEN
            RETURN 'it goes beyond the consent';
        END IF;
        PERFORM 1 FROM public.accounts_restriction r
          WHERE r.account_id = an_account AND r.purpose = 'sharing' AND r.lifted_at IS NULL AND r.since >= given.given_at;
        IF FOUND THEN
            RETURN 'the customer opted out of sharing';
        END IF;
        IF 'confidential' = ANY(wanted) THEN
            RETURN 'what was given in confidence leaves by no consent';
        END IF;
        RETURN NULL;
    END IF;
    IF a_basis IN ('legal_request', 'emergency') THEN
        SELECT q.instrument, q.recipient_id, q.categories, q.period_from, q.period_to, q.verified_at, q.closed_at,
               q.alarmed_at, q.is_governmental INTO asked
          FROM public.disclosures_legalrequest q WHERE q.id = a_request FOR SHARE;
        IF asked.verified_at IS NULL OR asked.closed_at IS NOT NULL THEN
            RETURN 'its request is not verified or has ended';
        END IF;
        IF asked.recipient_id IS DISTINCT FROM a_recipient THEN
            RETURN 'its request came from somebody else';
        END IF;
        IF (a_basis = 'emergency') <> (asked.instrument = 'emergency') OR asked.instrument = 'preservation' THEN
            RETURN 'its request opens no such disclosure';
        END IF;
        -- The law permits an emergency disclosure to a government body alone, with its declaration (18 USC 2702(c)(4)).
        IF asked.instrument = 'emergency' AND (whom.kind NOT IN ('authority', 'court') OR asked.alarmed_at IS NULL
           OR NOT EXISTS (SELECT 1 FROM public.disclosures_legaldocument c WHERE c.request_id = a_request)) THEN
            RETURN 'an emergency takes an authority, its declaration and the alarm';
        END IF;
        PERFORM 1 FROM public.disclosures_sought s
          WHERE s.request_id = a_request AND s.account_id = an_account AND s.found = 'one';
        IF NOT FOUND THEN
            RETURN 'its request does not seek this account';
        END IF;
        IF NOT wanted <@ asked.categories::text[]
           OR (asked.period_from IS NOT NULL AND coalesce(since < asked.period_from, true))
           OR (asked.period_to IS NOT NULL AND coalesce(until > asked.period_to, true)) THEN
            RETURN 'it goes beyond the request';
        END IF;
        IF 'business' = ANY(wanted) OR 'confidential' = ANY(wanted) THEN
            IF asked.instrument NOT IN ('court_order', 'search_warrant') THEN
                RETURN 'only a court compels business or confidential information';
            END IF;
            PERFORM 1 FROM unnest(wanted) AS w(category)
              WHERE w.category IN ('business', 'confidential') AND NOT EXISTS (
                SELECT 1 FROM public.disclosures_compulsion c
                 WHERE c.legal_request_id = a_request AND c.account_id = an_account AND c.category = w.category
                   AND c.confirmed_at IS NOT NULL
                   AND (w.category = 'business' OR (cardinality(wanted_items) > 0 AND wanted_items <@ c.items)));
            IF FOUND THEN
                RETURN 'no compulsion is recorded for it';
            END IF;
        END IF;
        RETURN NULL;
    END IF;
    -- Cases have their own question beside this one.
    RETURN NULL;
END $guard$;

CREATE OR REPLACE FUNCTION public.disclosure_ended(a_disclosure uuid) RETURNS text LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    d record;
    stands record;
    refusal text;
BEGIN
    SELECT * INTO d FROM public.disclosures_disclosure x WHERE x.id = a_disclosure AND x.state IN ('submitted', 'approved');
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF d.account_id IS NOT NULL THEN
        SELECT a.state, a.hold_epoch INTO stands FROM public.accounts_account a WHERE a.id = d.account_id;
        IF (stands.state, stands.hold_epoch) IS DISTINCT FROM (d.assumed_state, d.assumed_epoch) THEN
            RETURN 'the account is not as it was when the packet was made';
        END IF;
    END IF;
    IF d.state = 'approved' AND NOT EXISTS (
        SELECT 1 FROM public.disclosures_approval v
         WHERE v.disclosure_id = d.id AND v.packet_hash = d.packet_hash AND v.voided_at IS NULL
           AND v.ends_at > clock_timestamp()) THEN
        RETURN 'its approval was good for a day';
    END IF;
    refusal := coalesce(
        public.disclosure_refusal(d.basis, d.account_id, d.recipient_id, d.consent, d.legal_request_id,
            d.aggregate_id, d.categories, d.items, d.period_from, d.period_to),
        public.disclosure_case_refusal(d.basis, d.account_id, d.recipient_id, d."case"));
    IF refusal IS NULL AND NOT EXISTS (
        SELECT 1 FROM public.disclosures_recipient r WHERE r.id = d.recipient_id AND r.version = d.assumed_recipient) THEN
        RETURN 'its recipient was changed since the packet was made';
    END IF;
    RETURN refusal;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_disclosure() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    content text[] := ARRAY['recipient_id', 'basis', 'consent', 'legal_request_id', 'case', 'aggregate_id', 'categories',
                            'period_from', 'period_to', 'omitted', 'items', 'purpose', 'version'];
    was jsonb;
    becomes jsonb;
    refusal text;
    stands record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' OR NEW.packet_hash <> '' OR NEW.version <> 1 THEN
            RAISE EXCEPTION 'a disclosure begins as a draft' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    was := to_jsonb(OLD);
    becomes := to_jsonb(NEW);
    IF (NEW.id, NEW.reference, NEW.submission, NEW.account_id, NEW.made_by, NEW.made_at)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.submission, OLD.account_id, OLD.made_by, OLD.made_at) THEN
        RAISE EXCEPTION 'disclosure % keeps its account and its maker', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.state = OLD.state THEN
        IF OLD.state IN ('draft', 'returned', 'expired') THEN
            IF NEW.version <> OLD.version + 1 OR (becomes - content) IS DISTINCT FROM (was - content) THEN
                RAISE EXCEPTION 'disclosure %: an edit counts one version up', OLD.id USING ERRCODE = 'PH003';
            END IF;
            RETURN NEW;
        END IF;
        IF becomes IS DISTINCT FROM was THEN
            RAISE EXCEPTION 'disclosure % is % and stays as it is', OLD.id, OLD.state USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM 1 FROM unnest(content) AS c(name) WHERE becomes -> c.name IS DISTINCT FROM was -> c.name;
    IF FOUND THEN
        RAISE EXCEPTION 'disclosure %: what it says changes in a draft only', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NOT (OLD.state, NEW.state) IN (
        ('draft', 'submitted'), ('draft', 'withdrawn'),
        ('returned', 'submitted'), ('returned', 'withdrawn'),
        ('expired', 'submitted'), ('expired', 'withdrawn'),
        ('submitted', 'approved'), ('submitted', 'returned'), ('submitted', 'refused'), ('submitted', 'withdrawn'),
        ('submitted', 'expired'),
        ('approved', 'released'), ('approved', 'returned'), ('approved', 'refused'), ('approved', 'withdrawn'),
        ('approved', 'expired'),
        ('released', 'delivered')) THEN
        RAISE EXCEPTION 'disclosure % cannot go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'PH003';
    END IF;
    IF NEW.state <> 'submitted'
       AND (NEW.packet_hash, NEW.submitted_at, NEW.assumed_state, NEW.assumed_epoch, NEW.assumed_recipient)
       IS DISTINCT FROM (OLD.packet_hash, OLD.submitted_at, OLD.assumed_state, OLD.assumed_epoch, OLD.assumed_recipient) THEN
        RAISE EXCEPTION 'disclosure % keeps its packet', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.state NOT IN ('submitted', 'approved', 'released', 'delivered') THEN
        -- What leaves the way to a release takes no approval along.
        UPDATE public.disclosures_approval v SET voided_at = clock_timestamp(), voided_why = NEW.state
          WHERE v.disclosure_id = OLD.id AND v.voided_at IS NULL;
        RETURN NEW;
    END IF;
    IF NEW.state = 'delivered' THEN
        PERFORM 1 FROM public.disclosures_delivery y
          WHERE y.disclosure_id = OLD.id AND (y.method = 'hand' OR y.opened_at IS NOT NULL);
        IF NOT FOUND OR (becomes - ARRAY['state', 'delivered_at']) IS DISTINCT FROM (was - ARRAY['state', 'delivered_at']) THEN
            RAISE EXCEPTION 'disclosure % was not received yet', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    -- The lock of every act on an account: holds, withdrawals and the purge wait, or were before.
    IF OLD.account_id IS NOT NULL THEN
        SELECT a.state, a.hold_epoch INTO stands FROM public.accounts_account a WHERE a.id = OLD.account_id FOR NO KEY UPDATE;
        IF (stands.state, stands.hold_epoch) IS DISTINCT FROM (NEW.assumed_state, NEW.assumed_epoch) THEN
            RAISE EXCEPTION 'disclosure %: the account is not as it was when the packet was made', OLD.id
                USING ERRCODE = 'PH005';
        END IF;
    END IF;
    IF NEW.state = 'submitted' THEN
        PERFORM 1 FROM public.disclosures_approval v WHERE v.disclosure_id = OLD.id AND v.voided_at IS NULL;
        IF FOUND OR NEW.packet_hash = OLD.packet_hash THEN
            RAISE EXCEPTION 'disclosure % is submitted with a packet of its own, and nobody has approved it', OLD.id
                USING ERRCODE = 'PH003';
        END IF;
    END IF;
    PERFORM 1 FROM public.disclosures_packet p
      WHERE p.disclosure_id = OLD.id AND p.sha256 = NEW.packet_hash AND p.destroyed_at IS NULL
        AND p.number = (SELECT max(x.number) FROM public.disclosures_packet x WHERE x.disclosure_id = OLD.id);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'disclosure % has no such packet', OLD.id USING ERRCODE = 'PH005';
    END IF;
    IF NEW.state = 'submitted' THEN
        -- The packet is of what stands here now: each edit counts one version up.
        PERFORM 1 FROM public.disclosures_packet p
          WHERE p.disclosure_id = OLD.id AND p.sha256 = NEW.packet_hash
            AND p.manifest ->> 'disclosure' = OLD.reference AND p.manifest ->> 'version' = OLD.version::text;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'disclosure % was changed since its packet was made', OLD.id USING ERRCODE = 'PH005';
        END IF;
    END IF;
    refusal := coalesce(
        public.disclosure_refusal(OLD.basis, OLD.account_id, OLD.recipient_id, OLD.consent, OLD.legal_request_id,
            OLD.aggregate_id, OLD.categories, OLD.items, OLD.period_from, OLD.period_to),
        public.disclosure_case_refusal(OLD.basis, OLD.account_id, OLD.recipient_id, OLD."case"));
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'disclosure %: %', OLD.id, refusal USING ERRCODE = 'PH005';
    END IF;
    PERFORM 1 FROM public.disclosures_recipient r
      WHERE r.id = OLD.recipient_id AND r.version = NEW.assumed_recipient FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'disclosure %: its recipient was changed since the packet was made', OLD.id USING ERRCODE = 'PH005';
    END IF;
    IF NEW.state IN ('approved', 'released') THEN
        PERFORM 1 FROM public.disclosures_approval v
          WHERE v.disclosure_id = OLD.id AND v.packet_hash = OLD.packet_hash AND v.voided_at IS NULL
            AND v.ends_at > clock_timestamp() AND v.approved_by <> OLD.made_by;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'disclosure % has no approval of this packet by another person', OLD.id USING ERRCODE = 'PH005';
        END IF;
    END IF;
    IF NEW.state = 'released' AND (NEW.released_at < clock_timestamp() - interval '10 minutes'
                                   OR NEW.released_at > clock_timestamp() + interval '1 minute') THEN
        RAISE EXCEPTION 'disclosure % is released now', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.state = 'released' AND OLD.basis IN ('legal_request', 'emergency') THEN
        refusal := public.release_waits(OLD.basis, OLD.legal_request_id, OLD.account_id);
        IF refusal IS NOT NULL THEN
            RAISE EXCEPTION 'disclosure %: %', OLD.id, refusal USING ERRCODE = 'PH006';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_approval() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['voided_at', 'voided_why'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
           OR (OLD.voided_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
            RAISE EXCEPTION 'approval % stays as it was given', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM 1 FROM public.disclosures_disclosure d
      WHERE d.id = NEW.disclosure_id AND d.state = 'submitted' AND d.packet_hash = NEW.packet_hash
        AND d.made_by = NEW.prepared_by AND d.made_by <> NEW.approved_by FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an approval is of a submitted packet, by somebody who did not prepare it' USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM public.accounts_user u WHERE u.id = NEW.approved_by AND u.is_staff AND u.is_active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an approval is given by a member of staff' USING ERRCODE = 'PH003';
    END IF;
    IF NEW.approved_at > clock_timestamp() + interval '1 minute'
       OR NEW.approved_at < clock_timestamp() - interval '10 minutes' OR NEW.ends_at <= clock_timestamp()
       OR NEW.factor_at > NEW.approved_at OR NEW.factor_at < NEW.approved_at - interval '15 minutes'
       OR NEW.voided_at IS NOT NULL THEN
        RAISE EXCEPTION 'an approval begins now, with a second factor used just before' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_delivery() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['opened_at', 'opened_ip', 'opened_agent'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_disclosure d WHERE d.id = NEW.disclosure_id AND d.state = 'released' FOR SHARE;
        IF NOT FOUND OR NEW.opened_at IS NOT NULL THEN
            RAISE EXCEPTION 'only what was released is delivered' USING ERRCODE = 'PH003';
        END IF;
        -- A link goes to the address that was on file when the packet was approved, under the key of then.
        PERFORM 1 FROM public.disclosures_disclosure d JOIN public.disclosures_recipient r ON r.id = d.recipient_id
          WHERE d.id = NEW.disclosure_id AND r.version = d.assumed_recipient AND r.closed_at IS NULL FOR SHARE OF r;
        IF NOT FOUND AND NEW.method <> 'hand' THEN
            RAISE EXCEPTION 'disclosure %: its recipient was changed since it was approved', NEW.disclosure_id
                USING ERRCODE = 'PH005';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.opened_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD))
       OR (OLD.opened_at IS NULL AND NEW.opened_at IS NOT NULL
           AND (clock_timestamp() >= OLD.link_ends_at OR NEW.opened_at < clock_timestamp() - interval '10 minutes'
             OR NEW.opened_at > clock_timestamp() + interval '1 minute')) THEN
        RAISE EXCEPTION 'delivery % happened once', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_consent() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['withdrawn_at', 'withdrawn_by', 'withdrawn_how', 'withdrawn_ip', 'text', 'ip', 'evidence',
                            'evidence_name', 'evidence_file'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.withdrawn_at IS NOT NULL OR NEW.given_at > clock_timestamp() + interval '1 minute' THEN
            RAISE EXCEPTION 'a consent begins as given, and not later than now' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable) THEN
        RAISE EXCEPTION 'consent % stays as it was given', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.withdrawn_at IS NOT NULL AND (NEW.withdrawn_at, NEW.withdrawn_by, NEW.withdrawn_how)
       IS DISTINCT FROM (OLD.withdrawn_at, OLD.withdrawn_by, OLD.withdrawn_how) THEN
        RAISE EXCEPTION 'consent % was withdrawn; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_legal_request() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.verified_at IS NOT NULL OR NEW.closed_at IS NOT NULL THEN
            RAISE EXCEPTION 'a legal request begins open and not verified' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.reference, NEW.submission, NEW.received_by, NEW.received_at)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.submission, OLD.received_by, OLD.received_at) THEN
        RAISE EXCEPTION 'legal request % keeps its reference and how it came', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.closed_at IS NOT NULL AND (to_jsonb(NEW) - 'assigned_to') IS DISTINCT FROM (to_jsonb(OLD) - 'assigned_to') THEN
        RAISE EXCEPTION 'legal request % is closed; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- Once verified it can only become narrower.
    IF OLD.verified_at IS NOT NULL AND (
        (NEW.verified_at, NEW.verified_by, NEW.instrument, NEW.is_governmental, NEW.recipient_id, NEW.served_at, NEW.due_at)
        IS DISTINCT FROM
        (OLD.verified_at, OLD.verified_by, OLD.instrument, OLD.is_governmental, OLD.recipient_id, OLD.served_at, OLD.due_at)
        OR NOT NEW.categories <@ OLD.categories
        OR (OLD.period_from IS NOT NULL AND coalesce(NEW.period_from < OLD.period_from, true))
        OR (OLD.period_to IS NOT NULL AND coalesce(NEW.period_to > OLD.period_to, true))) THEN
        RAISE EXCEPTION 'legal request % was verified as it was; it can only be narrowed', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF (OLD.alarmed_at IS NOT NULL AND NEW.alarmed_at IS DISTINCT FROM OLD.alarmed_at)
       OR (OLD.objection_ended_at IS NOT NULL AND (NEW.objected_at, NEW.objection_ended_at, NEW.objection_ended_by)
           IS DISTINCT FROM (OLD.objected_at, OLD.objection_ended_at, OLD.objection_ended_by)
           AND NEW.objection_ended_at IS NOT NULL)
       OR (OLD.objected_at IS NOT NULL AND NEW.objected_at IS NULL) THEN
        RAISE EXCEPTION 'legal request %: what was recorded stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

-- Told is a fact: a letter that is there, now, with a week, or a reason for a shorter time; never while silence stands.
CREATE FUNCTION public.guard_legal_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.sent_at IS NOT NULL OR NEW.release_from IS NOT NULL OR NEW.letter IS NOT NULL THEN
            RAISE EXCEPTION 'a notice is owed first and sent afterwards' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.request_id, NEW.account_id, NEW.reference) IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.account_id, OLD.reference) THEN
        RAISE EXCEPTION 'notice % stays whose it is', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.sent_at IS NULL AND NEW.sent_at IS NOT NULL THEN
        IF NEW.sent_at < clock_timestamp() - interval '10 minutes' THEN
            RAISE EXCEPTION 'notice % is sent now', OLD.id USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_correspondence l WHERE l.id = NEW.letter AND l.account_id = OLD.account_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'notice % has no letter', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.release_from IS NULL OR NEW.release_from < NEW.sent_at
           OR (NEW.release_from < NEW.sent_at + interval '7 days' AND NEW.shortened_reason IS NULL) THEN
            RAISE EXCEPTION 'notice % gives no time and no reason', OLD.id USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.disclosures_silence s
          WHERE s.request_id = OLD.request_id AND s.lifted_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > clock_timestamp());
        IF FOUND THEN
            RAISE EXCEPTION 'notice %: silence stands', OLD.id USING ERRCODE = 'PH003';
        END IF;
    ELSIF (NEW.release_from, NEW.letter) IS DISTINCT FROM (OLD.release_from, OLD.letter) THEN
        RAISE EXCEPTION 'notice % stays as it was sent', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_legal_notice BEFORE INSERT OR UPDATE ON public.disclosures_legalnotice
    FOR EACH ROW EXECUTE FUNCTION public.guard_legal_notice();
ALTER TABLE public.disclosures_legalnotice ENABLE ALWAYS TRIGGER z_guard_legal_notice;

-- Silence stands on a paper of its own request.
CREATE FUNCTION public.guard_silence_begins() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NEW.lifted_at IS NOT NULL THEN
        RAISE EXCEPTION 'silence begins as it was ordered' USING ERRCODE = 'PH003';
    END IF;
    IF NEW.document_id IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_legaldocument c WHERE c.id = NEW.document_id AND c.request_id = NEW.request_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'silence of request % names the paper of another', NEW.request_id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_silence_begins BEFORE INSERT ON public.disclosures_silence
    FOR EACH ROW EXECUTE FUNCTION public.guard_silence_begins();
ALTER TABLE public.disclosures_silence ENABLE ALWAYS TRIGGER z_guard_silence_begins;

-- A challenge that runs, or that a court granted, keeps a release back: it goes with its account only.
CREATE FUNCTION public.guard_challenge_stays() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF OLD.ended_at IS NULL OR OLD.ended_how = 'quashed' THEN
        PERFORM 1 FROM public.accounts_account a
          WHERE a.id = OLD.account_id AND (a.state = 'active' OR a.due_at > clock_timestamp());
        IF FOUND THEN
            RAISE EXCEPTION 'challenge % runs, or was granted', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN OLD;
END $guard$;
CREATE TRIGGER z_guard_challenge_stays BEFORE DELETE ON public.disclosures_noticechallenge
    FOR EACH ROW EXECUTE FUNCTION public.guard_challenge_stays();
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_challenge_stays;
