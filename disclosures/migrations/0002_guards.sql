-- The guards of what leaves the company; functions that exist are replaced whole (the newest file counts).
-- PH005: a disclosure is refused by its basis, its approval, its packet or the state of its account.
-- PH006: a release is refused by something that passes by waiting; what was approved stays.

------------------------------------------------------------------------------------------------ governed tables

CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_consentgrant REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('consent', 'given_at');
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_consentgrant REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('consent', 'given_at');
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_consentgrant REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('consent');
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_consentgrant FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_consentgrant FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_noticechallenge REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('correspondence', 'made_at');
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_noticechallenge REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('correspondence', 'made_at');
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_noticechallenge REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('correspondence');
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_noticechallenge FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_noticechallenge FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_noticecopy REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('correspondence', 'made_at');
ALTER TABLE public.disclosures_noticecopy ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_noticecopy REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('correspondence', 'made_at');
ALTER TABLE public.disclosures_noticecopy ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_noticecopy REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('correspondence');
ALTER TABLE public.disclosures_noticecopy ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_noticecopy FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_noticecopy ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_noticecopy FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_noticecopy ENABLE ALWAYS TRIGGER z_guard_truncate;

CREATE OR REPLACE FUNCTION public.guard_erasure_update() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    own bigint := pg_current_xact_id()::text::bigint;
    concerned uuid[];
    wrong record;
    left_over text;
BEGIN
    concerned := ARRAY(SELECT DISTINCT w.account_id FROM was w);
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    -- A new statement: what changed, and whether it may.
    SELECT w.id, w.state AS before, n.state AS after INTO wrong
      FROM was w LEFT JOIN changed n ON n.id = w.id
     WHERE n.id IS NULL OR n.account_id <> w.account_id OR n.category <> w.category OR n.kept_for <> w.kept_for
        OR n.due_at < w.due_at
        OR (w.state, n.state) NOT IN (('due', 'due'), ('due', 'gone'), ('due', 'cancelled'), ('gone', 'gone'),
                                      ('gone', 'verified'), ('verified', 'verified'), ('cancelled', 'cancelled'))
        OR (w.rows_gone_at IS NOT NULL AND n.rows_gone_at IS NULL)
        OR (w.gone_xid IS NOT NULL AND (n.gone_xid, n.rows_gone_at) IS DISTINCT FROM (w.gone_xid, w.rows_gone_at))
        OR (w.unreachable_at IS NOT NULL AND n.unreachable_at IS DISTINCT FROM w.unreachable_at)
        OR (n.unreachable_at IS NOT NULL AND n.state NOT IN ('gone', 'verified'))
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % cannot go from % to % like this', wrong.id, wrong.before, wrong.after USING ERRCODE = 'PH003';
    END IF;
    -- Matched by id before anything else is asked (OFFSET 0): asked together, the plan compares each row with each.
    PERFORM 1 FROM (SELECT w.state AS before, n.state FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      WHERE m.state <> m.before;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.accounts_account a ON a.id = m.account_id
     WHERE m.before = 'due' AND m.state = 'cancelled' AND (m.rows_gone_at IS NOT NULL OR a.state <> 'active') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % cannot be cancelled: it has begun, or its account is still closed', wrong.id USING ERRCODE = 'PH003';
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.accounts_account a ON a.id = m.account_id
     WHERE m.before = 'due' AND m.state = 'gone'
       AND (m.gone_xid IS DISTINCT FROM own OR m.due_at > clock_timestamp() OR a.state = 'active') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % is not due, or was not carried out here', wrong.id USING ERRCODE = 'PH003';
    END IF;
    SELECT m.id INTO wrong
      FROM (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
      JOIN public.retention_hold h ON h.account_id = m.account_id
     WHERE m.before = 'due' AND m.state = 'gone' AND m.category <> 'credentials'
       AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
       AND (cardinality(h.categories) = 0 OR m.category = ANY(h.categories)) AND NOT m.category = ANY(h.already_gone)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'erasure % is governed and stays', wrong.id USING ERRCODE = 'PH001';
    END IF;
    -- Gone means gone: what an earlier hold kept of the rows goes with them,
    DELETE FROM public.retention_keptversion v
     USING (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id OFFSET 0) m
     WHERE v.account_id = m.account_id AND v.category = m.category AND m.before = 'due' AND m.state = 'gone';
    -- and no row of the category is left (the list is compared with the data map by a check).
    WITH m AS MATERIALIZED (SELECT w.state AS before, n.* FROM was w JOIN changed n ON n.id = w.id), e AS MATERIALIZED (
        SELECT m.account_id, m.category FROM m WHERE m.state <> m.before AND m.state IN ('gone', 'verified'))
    SELECT x.tab INTO left_over FROM (
        (SELECT 'accounts_acceptance' AS tab FROM public.accounts_acceptance t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_accessevent' AS tab FROM public.accounts_accessevent t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'access')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_accounttoken' AS tab FROM public.accounts_accounttoken t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_address' AS tab FROM public.accounts_address t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_attachment' AS tab FROM public.accounts_attachment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_billingprofile' AS tab FROM public.accounts_billingprofile t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'billing')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_businessitem' AS tab FROM public.accounts_businessitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'business')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_confidentialitem' AS tab FROM public.accounts_confidentialitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'confidential')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_contact' AS tab FROM public.accounts_contact t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_correspondence' AS tab FROM public.accounts_correspondence t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_device' AS tab FROM public.accounts_device t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'access')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_emailchange' AS tab FROM public.accounts_emailchange t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_export' AS tab FROM public.accounts_export t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_exportpart' AS tab FROM public.accounts_exportpart t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invitation' AS tab FROM public.accounts_invitation t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoice' AS tab FROM public.accounts_invoice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoiceline' AS tab FROM public.accounts_invoiceline t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ipassignment' AS tab FROM public.accounts_ipassignment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'network')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_order' AS tab FROM public.accounts_order t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_orderline' AS tab FROM public.accounts_orderline t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ordersignals' AS tab FROM public.accounts_ordersignals t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'orders')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_pagevisit' AS tab FROM public.accounts_pagevisit t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'analytics')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_payment' AS tab FROM public.accounts_payment t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_paymentmethod' AS tab FROM public.accounts_paymentmethod t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'billing')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_person' AS tab FROM public.accounts_person t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'identity')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_restriction' AS tab FROM public.accounts_restriction t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_service' AS tab FROM public.accounts_service t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'services')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_session' AS tab FROM public.accounts_session t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_signinidentifier' AS tab FROM public.accounts_signinidentifier t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_suspension' AS tab FROM public.accounts_suspension t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'services')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticket' AS tab FROM public.accounts_ticket t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticketmessage' AS tab FROM public.accounts_ticketmessage t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticketnote' AS tab FROM public.accounts_ticketnote t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_user' AS tab FROM public.accounts_user t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_consentgrant' AS tab FROM public.disclosures_consentgrant t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticechallenge' AS tab FROM public.disclosures_noticechallenge t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticecopy' AS tab FROM public.disclosures_noticecopy t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
      ) x LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rows of % are left: not gone', left_over USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

-- New ground: the bytes of a packet were destroyed by an earlier transaction.
CREATE OR REPLACE FUNCTION public.mint_destruction(orders uuid[], OUT minted text, OUT token bytea, OUT allowed uuid[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    own xid8 := pg_current_xact_id();
    message text;
    pads record;
BEGIN
    SELECT s.inner_pad, s.outer_pad INTO STRICT pads FROM public.safeguards_destructionsecret s WHERE s.id = 1;
    -- One notation, whatever the sessions' DateStyle and time zone: a token must not look younger on the other side.
    minted := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    -- An order is obeyed whole or not at all: each of its categories must have its ground.
    SELECT array_agg(o.id) INTO allowed
      FROM public.safeguards_destructionorder o
     WHERE o.id = ANY(orders) AND cardinality(o.categories) > 0 AND NOT EXISTS (
        SELECT 1 FROM unnest(o.categories) AS c(category)
         WHERE NOT EXISTS (
               SELECT 1 FROM public.retention_erasure e
                WHERE c.category <> 'mail' AND e.account_id = o.subject AND e.category = c.category
                  AND e.state IN ('gone', 'verified') AND e.gone_xid::text::xid8 <> own
                  AND pg_visible_in_snapshot(e.gone_xid::text::xid8, pg_current_snapshot()))
           AND NOT EXISTS (
               SELECT 1 FROM public.safeguards_outboxmessage m
                WHERE c.category = 'mail' AND m.id = o.subject AND m.state <> 'queued' AND m.content IS NULL
                  AND m.ended_xid::text::xid8 <> own
                  AND pg_visible_in_snapshot(m.ended_xid::text::xid8, pg_current_snapshot()))
           AND NOT EXISTS (
               SELECT 1 FROM public.retention_privacyrequest p
                WHERE c.category = 'request' AND p.id = o.subject AND p.account_id IS NULL AND p.cleaned_at IS NOT NULL
                  AND p.cleaned_xid::text::xid8 <> own
                  AND pg_visible_in_snapshot(p.cleaned_xid::text::xid8, pg_current_snapshot()))
           AND NOT EXISTS (
               SELECT 1 FROM public.disclosures_packet k
                WHERE c.category = 'packet' AND k.id = o.subject AND k.destroyed_at IS NOT NULL
                  AND k.destroyed_xid::text::xid8 <> own
                  AND pg_visible_in_snapshot(k.destroyed_xid::text::xid8, pg_current_snapshot())));
    SELECT minted || '|' || string_agg(p.subject::text || ':' || p.category, ',' ORDER BY p.subject, p.category)
      INTO message
      FROM (SELECT DISTINCT o.subject, c.category FROM public.safeguards_destructionorder o, unnest(o.categories) AS c(category)
             WHERE o.id = ANY(allowed)) p;
    token := sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(coalesce(message, ''), 'UTF8')));
    IF allowed IS NULL THEN
        token := NULL;
    END IF;
END $guard$;

------------------------------------------------------------------------------------------------ consent

-- A consent is given once and withdrawn once; another text or other categories are another row (P20). Sealed values are
-- outside: the hash of the words stands here, the hash of the evidence in the ledger.
CREATE FUNCTION public.guard_consent() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['withdrawn_at', 'withdrawn_by', 'withdrawn_how', 'withdrawn_ip', 'text', 'ip', 'evidence',
                            'evidence_name', 'evidence_file'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.withdrawn_at IS NOT NULL THEN
            RAISE EXCEPTION 'a consent begins as given' USING ERRCODE = 'PH003';
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
CREATE TRIGGER z_guard_consent BEFORE INSERT OR UPDATE ON public.disclosures_consentgrant
    FOR EACH ROW EXECUTE FUNCTION public.guard_consent();
ALTER TABLE public.disclosures_consentgrant ENABLE ALWAYS TRIGGER z_guard_consent;

CREATE FUNCTION public.guard_notice_challenge() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['ended_at', 'ended_by', 'ended_how', 'text'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_legalnotice n
          WHERE n.id = NEW.notice AND n.account_id = NEW.account_id AND n.sent_at IS NOT NULL;
        IF NOT FOUND OR NEW.ended_at IS NOT NULL THEN
            RAISE EXCEPTION 'a challenge answers a notice that its account got' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.ended_at IS NOT NULL AND (NEW.ended_at, NEW.ended_by, NEW.ended_how)
           IS DISTINCT FROM (OLD.ended_at, OLD.ended_by, OLD.ended_how)) THEN
        RAISE EXCEPTION 'challenge % stays as it is', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_notice_challenge BEFORE INSERT OR UPDATE ON public.disclosures_noticechallenge
    FOR EACH ROW EXECUTE FUNCTION public.guard_notice_challenge();
ALTER TABLE public.disclosures_noticechallenge ENABLE ALWAYS TRIGGER z_guard_notice_challenge;

------------------------------------------------------------------------------------------------ registers

-- Rows that are written once: their arguments name the columns that may move, each from empty to filled only.
CREATE FUNCTION public.guard_register() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := TG_ARGV;
    moved text;
BEGIN
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable) THEN
        RAISE EXCEPTION '% %: what was recorded stays', TG_TABLE_NAME, OLD.id USING ERRCODE = 'PH003';
    END IF;
    FOREACH moved IN ARRAY movable LOOP
        IF to_jsonb(OLD) ->> moved IS NOT NULL AND to_jsonb(OLD) ->> moved <> ''
           AND to_jsonb(NEW) -> moved IS DISTINCT FROM to_jsonb(OLD) -> moved THEN
            RAISE EXCEPTION '% %: % was recorded and stays', TG_TABLE_NAME, OLD.id, moved USING ERRCODE = 'PH003';
        END IF;
    END LOOP;
    RETURN NEW;
END $guard$;

CREATE FUNCTION public.guard_legal_request() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
        (NEW.verified_at, NEW.verified_by, NEW.instrument, NEW.is_governmental, NEW.recipient_id)
        IS DISTINCT FROM (OLD.verified_at, OLD.verified_by, OLD.instrument, OLD.is_governmental, OLD.recipient_id)
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
CREATE TRIGGER z_guard_legal_request BEFORE INSERT OR UPDATE ON public.disclosures_legalrequest
    FOR EACH ROW EXECUTE FUNCTION public.guard_legal_request();
ALTER TABLE public.disclosures_legalrequest ENABLE ALWAYS TRIGGER z_guard_legal_request;

CREATE FUNCTION public.guard_recipient() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF (NEW.id, NEW.reference, NEW.kind, NEW.registered_by, NEW.registered_at)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.kind, OLD.registered_by, OLD.registered_at)
       OR (OLD.closed_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'recipient % keeps its kind, and stays closed; register another', OLD.id USING ERRCODE = 'PH003';
    END IF;
    NEW.version := OLD.version;
    IF to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD) THEN
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_recipient BEFORE UPDATE ON public.disclosures_recipient
    FOR EACH ROW EXECUTE FUNCTION public.guard_recipient();
ALTER TABLE public.disclosures_recipient ENABLE ALWAYS TRIGGER z_guard_recipient;

-- What was looked at and found dangerous stays in quarantine.
CREATE FUNCTION public.guard_legal_document() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['state', 'why', 'is_for_customer'];
BEGIN
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.state <> 'unscanned' AND (NEW.state, NEW.why) IS DISTINCT FROM (OLD.state, OLD.why)) THEN
        RAISE EXCEPTION 'legal document % stays as it came', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_legal_document BEFORE UPDATE ON public.disclosures_legaldocument
    FOR EACH ROW EXECUTE FUNCTION public.guard_legal_document();
ALTER TABLE public.disclosures_legaldocument ENABLE ALWAYS TRIGGER z_guard_legal_document;

-- Whom a request seeks is decided once; no account yet, or several, wait for the decision.
CREATE FUNCTION public.guard_sought() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['found', 'account_id', 'decided_by', 'decided_at'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_legalrequest q
          WHERE q.id = NEW.request_id AND q.verified_at IS NULL AND q.closed_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'request % seeks whom it sought when it was verified', NEW.request_id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.found IN ('one', 'not_ours') AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'sought % is decided; add another one', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_sought BEFORE INSERT OR UPDATE ON public.disclosures_sought
    FOR EACH ROW EXECUTE FUNCTION public.guard_sought();
ALTER TABLE public.disclosures_sought ENABLE ALWAYS TRIGGER z_guard_sought;

-- A letter is edited until it is sent.
CREATE FUNCTION public.guard_legal_letter() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF OLD.sent_at IS NOT NULL OR (NEW.id, NEW.request_id, NEW.kind) IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.kind) THEN
        RAISE EXCEPTION 'letter % stays as it was sent', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_legal_letter BEFORE UPDATE ON public.disclosures_legalletter
    FOR EACH ROW EXECUTE FUNCTION public.guard_legal_letter();
ALTER TABLE public.disclosures_legalletter ENABLE ALWAYS TRIGGER z_guard_legal_letter;

-- Silence is lifted once; how often somebody was asked only grows.
CREATE FUNCTION public.guard_silence() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['asked', 'lifted_at', 'lifted_by', 'review_by'];
BEGIN
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable) OR NOT OLD.asked <@ NEW.asked
       OR (OLD.lifted_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'silence % stays as it was ordered; an extension is another one', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_silence BEFORE UPDATE ON public.disclosures_silence
    FOR EACH ROW EXECUTE FUNCTION public.guard_silence();
ALTER TABLE public.disclosures_silence ENABLE ALWAYS TRIGGER z_guard_silence;

CREATE TRIGGER z_guard_register BEFORE UPDATE ON public.disclosures_legalnotice
    FOR EACH ROW EXECUTE FUNCTION public.guard_register('sent_at', 'letter', 'release_from', 'shortened_reason');
ALTER TABLE public.disclosures_legalnotice ENABLE ALWAYS TRIGGER z_guard_register;

-- What stands behind a notice that is owed stays, and with it the contact it goes to (silence.md, S13).
CREATE FUNCTION public.guard_hold_of_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF OLD.released_at IS NULL AND NEW.released_at IS NOT NULL AND OLD.cause IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_legalnotice n
          WHERE n.request_id = OLD.cause AND n.account_id = OLD.account_id AND n.sent_at IS NULL
            AND NOT EXISTS (
              SELECT 1 FROM public.retention_hold h
               WHERE h.cause = OLD.cause AND h.account_id = OLD.account_id AND h.id <> OLD.id AND h.covers_until IS NULL);
        IF FOUND THEN
            RAISE EXCEPTION 'hold % stays while a notice is owed', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_hold_of_notice BEFORE UPDATE ON public.retention_hold
    FOR EACH ROW EXECUTE FUNCTION public.guard_hold_of_notice();
ALTER TABLE public.retention_hold ENABLE ALWAYS TRIGGER z_guard_hold_of_notice;

------------------------------------------------------------------------------------------------ packets

CREATE FUNCTION public.refuse_held_packet(packet uuid) RETURNS void LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    concerned uuid;
BEGIN
    SELECT p.account_id INTO concerned FROM public.disclosures_packet p WHERE p.id = packet;
    IF concerned IS NULL THEN
        RETURN;
    END IF;
    PERFORM 1 FROM public.accounts_account a WHERE a.id = concerned FOR UPDATE;
    PERFORM 1 FROM public.retention_hold h
      WHERE h.account_id = concerned AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp());
    IF FOUND THEN
        RAISE EXCEPTION 'packet % is governed and stays', packet USING ERRCODE = 'PH001';
    END IF;
END $guard$;
REVOKE ALL ON FUNCTION public.refuse_held_packet(uuid) FROM PUBLIC;

-- Whether somebody still works with these bytes: they wait for a decision, or for a recipient who can still fetch them.
CREATE FUNCTION public.packet_is_needed(packet uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM 1 FROM public.disclosures_packet p JOIN public.disclosures_disclosure d ON d.id = p.disclosure_id
      LEFT JOIN public.accounts_account a ON a.id = d.account_id
      LEFT JOIN public.disclosures_delivery y ON y.disclosure_id = d.id
      WHERE p.id = packet AND p.sha256 = d.packet_hash
        AND (d.state IN ('submitted', 'approved')
          OR (d.state = 'released' AND a.state IS DISTINCT FROM 'erased'
              AND (y.link_ends_at IS NULL OR y.link_ends_at > clock_timestamp())));
    RETURN FOUND;
END $guard$;
REVOKE ALL ON FUNCTION public.packet_is_needed(uuid) FROM PUBLIC;

CREATE FUNCTION public.guard_packet() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['destroyed_at', 'destroyed_xid'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.destroyed_xid := NULL;
        PERFORM 1 FROM public.disclosures_disclosure d
          WHERE d.id = NEW.disclosure_id AND d.account_id IS NOT DISTINCT FROM NEW.account_id AND d.made_by = NEW.made_by
            AND d.state IN ('draft', 'returned', 'expired');
        IF NOT FOUND OR NEW.destroyed_at IS NOT NULL THEN
            RAISE EXCEPTION 'a packet is made for a draft, by whoever prepares it' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.destroyed_at IS NOT NULL AND NEW.destroyed_at IS DISTINCT FROM OLD.destroyed_at) THEN
        RAISE EXCEPTION 'packet % stays as it was made', OLD.id USING ERRCODE = 'PH003';
    END IF;
    NEW.destroyed_xid := OLD.destroyed_xid;
    IF OLD.destroyed_at IS NULL AND NEW.destroyed_at IS NOT NULL THEN
        PERFORM public.refuse_held_packet(OLD.id);
        PERFORM 1 FROM public.disclosures_packetpart t WHERE t.packet_id = OLD.id AND t.content IS NOT NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'packet % still has its bytes', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF public.packet_is_needed(OLD.id) THEN
            RAISE EXCEPTION 'packet % is still needed', OLD.id USING ERRCODE = 'PH003';
        END IF;
        NEW.destroyed_xid := pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_packet BEFORE INSERT OR UPDATE ON public.disclosures_packet
    FOR EACH ROW EXECUTE FUNCTION public.guard_packet();
ALTER TABLE public.disclosures_packet ENABLE ALWAYS TRIGGER z_guard_packet;

CREATE FUNCTION public.guard_packet_part() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- The encrypted file of a delivery comes after the release; every other part before the submission.
        PERFORM 1 FROM public.disclosures_packet p JOIN public.disclosures_disclosure d ON d.id = p.disclosure_id
          WHERE p.id = NEW.packet_id AND p.destroyed_at IS NULL
            AND ((NEW.name = 'delivery' AND d.state = 'released')
              OR (NEW.name <> 'delivery' AND d.state IN ('draft', 'returned', 'expired')
                  AND d.packet_hash IS DISTINCT FROM p.sha256))
          FOR SHARE OF p;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'packet % takes no part now', NEW.packet_id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.content IS NOT NULL OR (to_jsonb(NEW) - 'content') IS DISTINCT FROM (to_jsonb(OLD) - 'content') THEN
        RAISE EXCEPTION 'part % stays as it was made', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM public.refuse_held_packet(OLD.packet_id);
    IF public.packet_is_needed(OLD.packet_id) THEN
        RAISE EXCEPTION 'packet % is still needed', OLD.packet_id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_packet_part BEFORE INSERT OR UPDATE ON public.disclosures_packetpart
    FOR EACH ROW EXECUTE FUNCTION public.guard_packet_part();
ALTER TABLE public.disclosures_packetpart ENABLE ALWAYS TRIGGER z_guard_packet_part;

------------------------------------------------------------------------------------------------ disclosures

-- What a basis can carry, whenever it is asked: submission, approval and release ask it. Empty means nothing is wrong.
CREATE FUNCTION public.disclosure_refusal(
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
    RETURN 'there is no register of such cases';
END $guard$;
REVOKE ALL ON FUNCTION public.disclosure_refusal(text, uuid, uuid, uuid, uuid, uuid, text[], uuid[], timestamptz, timestamptz)
    FROM PUBLIC;

-- What a release on a legal request waits for: the end of our objection, and what the customer is owed (told and waited,
-- or an order of silence that stands).
CREATE FUNCTION public.release_waits(a_basis text, a_request uuid, an_account uuid) RETURNS text LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    told record;
BEGIN
    PERFORM 1 FROM public.disclosures_legalrequest q
      WHERE q.id = a_request AND q.objected_at IS NOT NULL AND q.objection_ended_at IS NULL FOR SHARE;
    IF FOUND THEN
        RETURN 'an objection stands against its request';
    END IF;
    SELECT n.id, n.sent_at, n.release_from INTO told FROM public.disclosures_legalnotice n
     WHERE n.request_id = a_request AND n.account_id = an_account FOR SHARE;
    IF told.sent_at IS NOT NULL THEN
        IF a_basis <> 'emergency' AND told.release_from > clock_timestamp() THEN
            RETURN 'the customer was told and has time until then';
        END IF;
        PERFORM 1 FROM public.disclosures_noticechallenge c
          WHERE c.notice = told.id AND (c.ended_at IS NULL OR c.ended_how = 'quashed');
        IF FOUND THEN
            RETURN 'the customer challenges the request';
        END IF;
        RETURN NULL;
    END IF;
    -- An emergency waits for no notice (18 USC 2702(c)(4)); for a challenge it does, because the customer is told so.
    IF a_basis = 'emergency' THEN
        RETURN NULL;
    END IF;
    -- A choice of our own keeps the customer from being told for a while; only an order lets anything leave before that.
    PERFORM 1 FROM public.disclosures_silence s
      WHERE s.request_id = a_request AND s.ground <> 'choice' AND s.lifted_at IS NULL AND s.starts_at <= clock_timestamp()
        AND (s.ends_at IS NULL OR s.ends_at > clock_timestamp());
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN 'the customer was not told, and no order of silence stands';
END $guard$;
REVOKE ALL ON FUNCTION public.release_waits(text, uuid, uuid) FROM PUBLIC;

-- Why a submitted or approved disclosure cannot be released any more, however long anybody waits; empty while it can.
CREATE FUNCTION public.disclosure_ended(a_disclosure uuid) RETURNS text LANGUAGE plpgsql VOLATILE
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
    refusal := public.disclosure_refusal(d.basis, d.account_id, d.recipient_id, d.consent, d.legal_request_id,
        d.aggregate_id, d.categories, d.items, d.period_from, d.period_to);
    IF refusal IS NULL AND NOT EXISTS (
        SELECT 1 FROM public.disclosures_recipient r WHERE r.id = d.recipient_id AND r.version = d.assumed_recipient) THEN
        RETURN 'its recipient was changed since the packet was made';
    END IF;
    RETURN refusal;
END $guard$;
REVOKE ALL ON FUNCTION public.disclosure_ended(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.disclosure_ended(uuid) TO portal_runtime;

CREATE FUNCTION public.guard_disclosure() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
    PERFORM 1 FROM public.disclosures_packet p
      WHERE p.disclosure_id = OLD.id AND p.sha256 = NEW.packet_hash AND p.destroyed_at IS NULL
        AND p.number = (SELECT max(x.number) FROM public.disclosures_packet x WHERE x.disclosure_id = OLD.id);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'disclosure % has no such packet', OLD.id USING ERRCODE = 'PH005';
    END IF;
    refusal := public.disclosure_refusal(OLD.basis, OLD.account_id, OLD.recipient_id, OLD.consent, OLD.legal_request_id,
        OLD.aggregate_id, OLD.categories, OLD.items, OLD.period_from, OLD.period_to);
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
    IF NEW.state = 'released' AND OLD.basis IN ('legal_request', 'emergency') THEN
        refusal := public.release_waits(OLD.basis, OLD.legal_request_id, OLD.account_id);
        IF refusal IS NOT NULL THEN
            RAISE EXCEPTION 'disclosure %: %', OLD.id, refusal USING ERRCODE = 'PH006';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_disclosure BEFORE INSERT OR UPDATE ON public.disclosures_disclosure
    FOR EACH ROW EXECUTE FUNCTION public.guard_disclosure();
ALTER TABLE public.disclosures_disclosure ENABLE ALWAYS TRIGGER z_guard_disclosure;

CREATE FUNCTION public.guard_approval() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
    IF NEW.approved_at > clock_timestamp() + interval '1 minute' OR NEW.ends_at <= clock_timestamp()
       OR NEW.factor_at > NEW.approved_at OR NEW.factor_at < NEW.approved_at - interval '15 minutes'
       OR NEW.voided_at IS NOT NULL THEN
        RAISE EXCEPTION 'an approval begins now, with a second factor used just before' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_approval BEFORE INSERT OR UPDATE ON public.disclosures_approval
    FOR EACH ROW EXECUTE FUNCTION public.guard_approval();
ALTER TABLE public.disclosures_approval ENABLE ALWAYS TRIGGER z_guard_approval;

CREATE FUNCTION public.guard_delivery() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
       OR (NEW.opened_at IS NOT NULL AND NEW.opened_at >= OLD.link_ends_at) THEN
        RAISE EXCEPTION 'delivery % happened once', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_delivery BEFORE INSERT OR UPDATE ON public.disclosures_delivery
    FOR EACH ROW EXECUTE FUNCTION public.guard_delivery();
ALTER TABLE public.disclosures_delivery ENABLE ALWAYS TRIGGER z_guard_delivery;

CREATE FUNCTION public.guard_compulsion() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['confirmed_by', 'confirmed_at'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_legalrequest q
          WHERE q.id = NEW.legal_request_id AND q.instrument IN ('court_order', 'search_warrant') AND q.closed_at IS NULL;
        IF NOT FOUND OR NEW.confirmed_at IS NOT NULL THEN
            RAISE EXCEPTION 'only a court compels, and two people record it one after the other' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.confirmed_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'compulsion % stays as it was recorded', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_compulsion BEFORE INSERT OR UPDATE ON public.disclosures_compulsion
    FOR EACH ROW EXECUTE FUNCTION public.guard_compulsion();
ALTER TABLE public.disclosures_compulsion ENABLE ALWAYS TRIGGER z_guard_compulsion;

CREATE FUNCTION public.guard_incident() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_disclosure d
          WHERE d.id = NEW.disclosure_id AND d.state IN ('released', 'delivered');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an incident is of what was released' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.reference, NEW.disclosure_id, NEW.found_by, NEW.found_at)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.disclosure_id, OLD.found_by, OLD.found_at)
       OR (OLD.closed_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'incident % stays as it was found', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_incident BEFORE INSERT OR UPDATE ON public.disclosures_incident
    FOR EACH ROW EXECUTE FUNCTION public.guard_incident();
ALTER TABLE public.disclosures_incident ENABLE ALWAYS TRIGGER z_guard_incident;

-- Keys go by subject: an account with the id of a register could be erased to destroy that one's key.
CREATE FUNCTION public.guard_account_is_no_register() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM 1 FROM public.disclosures_legalrequest q WHERE q.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_disclosure d WHERE d.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_packet p WHERE p.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_recipient r WHERE r.id = NEW.id;
    IF FOUND THEN
        RAISE EXCEPTION 'account % has the id of another subject', NEW.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_account_is_no_register BEFORE INSERT ON public.accounts_account
    FOR EACH ROW EXECUTE FUNCTION public.guard_account_is_no_register();
ALTER TABLE public.accounts_account ENABLE ALWAYS TRIGGER z_guard_account_is_no_register;

------------------------------------------------------------------------------------------------ evidence and grants

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legalrequest
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legalrequest ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legaldocument
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legaldocument ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_sought
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_sought ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legalcheck
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legalcheck ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legalnote
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legalnote ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legalletter
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legalletter ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_silence
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_silence ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_legalnotice
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_legalnotice ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_recipient
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_recipient ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_disclosure
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_disclosure ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_packet
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_packet ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_packetpart
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_packetpart ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_approval
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_approval ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_delivery
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_delivery ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_compulsion
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_compulsion ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_incident
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_incident ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_aggregatetable
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_aggregatetable ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_transparencytable
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_transparencytable ENABLE ALWAYS TRIGGER z_guard_evidence;

REVOKE DELETE ON disclosures_legalrequest, disclosures_legaldocument, disclosures_sought, disclosures_legalcheck, disclosures_legalnote, disclosures_legalletter, disclosures_silence, disclosures_legalnotice, disclosures_recipient, disclosures_disclosure, disclosures_packet, disclosures_packetpart, disclosures_approval, disclosures_delivery, disclosures_compulsion, disclosures_incident, disclosures_aggregatetable, disclosures_transparencytable FROM portal_runtime;
REVOKE UPDATE ON disclosures_legalcheck, disclosures_legalnote, disclosures_aggregatetable, disclosures_transparencytable FROM portal_runtime;

------------------------------------------------------------------------------------------------ what customers read

-- Customer pages read these views and never the tables behind them (silence.md, S2).
CREATE VIEW public.disclosures_told_notice AS
    SELECT n.id, n.reference, n.account_id, q.instrument, q.categories, n.sent_at, n.release_from,
           c.made_at AS challenged_at, c.ended_at AS challenge_ended_at,
           (SELECT min(d.released_at) FROM public.disclosures_disclosure d
             WHERE d.legal_request_id = n.request_id AND d.account_id = n.account_id
               AND d.state IN ('released', 'delivered') AND d.released_at < n.release_from) AS given_at
      FROM public.disclosures_legalnotice n
      JOIN public.disclosures_legalrequest q ON q.id = n.request_id
      LEFT JOIN public.disclosures_noticechallenge c ON c.notice = n.id
     WHERE n.sent_at IS NOT NULL;
CREATE VIEW public.disclosures_told_disclosure AS
    SELECT d.id, d.reference, d.account_id, d.basis, r.name AS recipient_name, r.kind AS recipient_kind, d.categories,
           d.released_at
      FROM public.disclosures_disclosure d JOIN public.disclosures_recipient r ON r.id = d.recipient_id
     WHERE d.account_id IS NOT NULL AND d.state IN ('released', 'delivered')
       AND (d.legal_request_id IS NULL OR EXISTS (
            SELECT 1 FROM public.disclosures_legalnotice n
             WHERE n.request_id = d.legal_request_id AND n.account_id = d.account_id AND n.sent_at IS NOT NULL));
REVOKE ALL ON public.disclosures_told_notice, public.disclosures_told_disclosure FROM portal_runtime;
GRANT SELECT ON public.disclosures_told_notice, public.disclosures_told_disclosure TO portal_runtime;
