-- The guards of what customers are told of abuse cases, and of the cases' own end; functions that exist are replaced
-- whole (the newest file counts).

CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_abusenotice REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('notices', 'sent_at');
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_abusenotice REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('notices', 'sent_at');
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_abusenotice REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('notices');
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_abusenotice FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_abusenotice FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_abusenoticeitem REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('notices', 'told_at');
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_abusenoticeitem REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('notices', 'told_at');
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_abusenoticeitem REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('notices');
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_abusenoticeitem FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_abusenoticeitem FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_counternotice REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('notices', 'drafted_at');
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_counternotice REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('notices', 'drafted_at');
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_counternotice REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('notices');
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_counternotice FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_counternotice FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.disclosures_strike REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('notices', 'given_at');
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.disclosures_strike REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('notices', 'given_at');
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.disclosures_strike REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('notices');
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.disclosures_strike FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.disclosures_strike FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_truncate;

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
        (SELECT 'disclosures_abusenotice' AS tab FROM public.disclosures_abusenotice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_abusenoticeitem' AS tab FROM public.disclosures_abusenoticeitem t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_consentgrant' AS tab FROM public.disclosures_consentgrant t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'consent')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_counternotice' AS tab FROM public.disclosures_counternotice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticechallenge' AS tab FROM public.disclosures_noticechallenge t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_noticecopy' AS tab FROM public.disclosures_noticecopy t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'disclosures_strike' AS tab FROM public.disclosures_strike t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'notices')) LIMIT 1)
      ) x LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rows of % are left: not gone', left_over USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

CREATE OR REPLACE FUNCTION public.guard_hold() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['told_at', 'told_by', 'told_how', 'review_by', 'released_at', 'released_by', 'covers_until'];
    account_state text;
    whole text[];
    part text[];
    left_over bigint;
    gone_at timestamptz;
    pause bigint;
    first_pause timestamptz;
    cool_off bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable) THEN
            RAISE EXCEPTION 'hold % keeps its account, kind, scope, matter and end', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF OLD.told_at IS NOT NULL AND (NEW.told_at, NEW.told_by, NEW.told_how) IS DISTINCT FROM (OLD.told_at, OLD.told_by, OLD.told_how) THEN
            RAISE EXCEPTION 'hold % was told already; that stays', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF OLD.released_at IS NOT NULL AND (NEW.released_at, NEW.released_by) IS DISTINCT FROM (OLD.released_at, OLD.released_by) THEN
            RAISE EXCEPTION 'hold % was released; place a new one', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    -- The lock: waits for a running batch, and makes whoever read an older version of the account look again.
    UPDATE public.accounts_account a SET hold_epoch = a.hold_epoch + 1 WHERE a.id = NEW.account_id
        RETURNING a.state INTO account_state;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no account %', NEW.account_id USING ERRCODE = 'foreign_key_violation';
    END IF;

    IF TG_OP = 'INSERT' THEN
        IF NEW.released_at IS NOT NULL OR NEW.released_by <> '' OR NEW.covers_until IS NOT NULL THEN
            RAISE EXCEPTION 'a hold begins unreleased' USING ERRCODE = 'PH003';
        END IF;
        IF NEW.kind = 'operations' THEN
            -- All pauses of one deletion together, counted from the first: a chain of short ones is a long one (P26).
            SELECT l.seconds INTO pause FROM public.retention_limit l WHERE l.name = 'pause';
            SELECT min(h.placed_at) INTO first_pause
              FROM public.retention_hold h JOIN public.accounts_account a ON a.id = h.account_id
             WHERE h.account_id = NEW.account_id AND h.kind = 'operations' AND h.placed_at >= a.closed_at;
            IF NEW.ends_at > least(first_pause, clock_timestamp()) + make_interval(secs => coalesce(pause, 1209600))
                             + interval '1 minute' THEN
                RAISE EXCEPTION 'staff pauses of one deletion end within the time of a single one' USING ERRCODE = 'PH003';
            END IF;
        END IF;
        IF NEW.kind = 'agreement' AND NEW.ends_at > NEW.placed_at + interval '30 days' THEN
            RAISE EXCEPTION 'a hold for an answer lasts 30 days at most' USING ERRCODE = 'PH003';
        END IF;
        -- A new statement: what is gone of what it covers.
        SELECT coalesce(array_agg(e.category) FILTER (WHERE e.state IN ('gone', 'verified')), '{}'),
               coalesce(array_agg(e.category) FILTER (WHERE e.state = 'due' AND e.rows_gone_at IS NOT NULL), '{}'),
               count(*) FILTER (WHERE e.state = 'due'),
               max(e.rows_gone_at)
          INTO whole, part, left_over, gone_at
          FROM public.retention_erasure e
         WHERE e.account_id = NEW.account_id AND e.state <> 'cancelled' AND e.category <> 'credentials'
           AND (cardinality(NEW.categories) = 0 OR e.category = ANY(NEW.categories));
        -- Once an account is closed, what has no erasure still due is not there: a scope without any would hold nothing.
        IF account_state <> 'active' AND left_over = 0 THEN
            RAISE EXCEPTION 'account %: nothing is left of what the hold would cover', NEW.account_id
                USING ERRCODE = 'PH002',
                      DETAIL = coalesce(to_char(gone_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '');
        END IF;
        NEW.already_gone := whole;
        NEW.partly_gone := part;
        RETURN NEW;
    END IF;

    IF OLD.released_at IS NULL AND NEW.released_at IS NOT NULL THEN
        IF NEW.released_by = '' THEN
            RAISE EXCEPTION 'a release of hold % names who released it', OLD.id USING ERRCODE = 'PH003';
        END IF;
        NEW.released_at := clock_timestamp();
        NEW.covers_until := clock_timestamp();
        IF OLD.ends_at <= clock_timestamp() OR OLD.kind = 'operations' THEN
            RETURN NEW;
        END IF;
        IF OLD.kind = 'dispute' THEN
            PERFORM 1 FROM public.retention_dispute d
              WHERE d.id = OLD.cause AND d.account_id = OLD.account_id AND d.state <> 'open';
            IF FOUND THEN
                RETURN NEW;
            END IF;
        ELSIF OLD.kind = 'agreement' AND OLD.ends_at IS NOT NULL THEN
            -- Its notice was answered, or its matter ended.
            PERFORM 1 FROM public.disclosures_abusenotice n
              WHERE n.id = OLD.cause AND n.account_id = OLD.account_id AND n.remedied_at IS NULL
                AND n.disagreed_at IS NULL AND n.countered_at IS NULL AND n.ended_at IS NULL;
            IF NOT FOUND THEN
                RETURN NEW;
            END IF;
        ELSIF OLD.kind = 'agreement' THEN
            PERFORM 1 FROM public.accounts_invoice i WHERE i.account_id = OLD.account_id AND i.state = 'issued'
              UNION ALL
            SELECT 1 FROM public.accounts_service s
              WHERE s.account_id = OLD.account_id AND s.term_ends_at > clock_timestamp() AND s.term_waived_at IS NULL;
            IF NOT FOUND THEN
                RETURN NEW;
            END IF;
        ELSE
            PERFORM 1 FROM public.retention_holdrelease r
              WHERE r.hold_id = OLD.id AND r.approved_at IS NOT NULL AND r.approved_by <> r.requested_by;
            IF FOUND THEN
                -- Two names can be forged by whoever may release: the guards honour it until the alarm had its time.
                SELECT l.seconds INTO cool_off FROM public.retention_limit l WHERE l.name = 'cool_off';
                NEW.covers_until := clock_timestamp() + make_interval(secs => coalesce(cool_off, 86400));
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'hold % has no ground for a release: two people, its end, or what stands behind it', OLD.id
            USING ERRCODE = 'PH003';
    END IF;
    NEW.covers_until := OLD.covers_until;
    RETURN NEW;
END $guard$;

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
                  AND pg_visible_in_snapshot(k.destroyed_xid::text::xid8, pg_current_snapshot()))
           AND NOT EXISTS (
               SELECT 1 FROM public.disclosures_abusecase b
                WHERE c.category = 'notices' AND b.id = o.subject AND b.forgotten_at IS NOT NULL
                  AND b.forgotten_xid::text::xid8 <> own
                  AND pg_visible_in_snapshot(b.forgotten_xid::text::xid8, pg_current_snapshot())));
    SELECT minted || '|' || string_agg(p.subject::text || ':' || p.category, ',' ORDER BY p.subject, p.category)
      INTO message
      FROM (SELECT DISTINCT o.subject, c.category FROM public.safeguards_destructionorder o, unnest(o.categories) AS c(category)
             WHERE o.id = ANY(allowed)) p;
    token := sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(coalesce(message, ''), 'UTF8')));
    IF allowed IS NULL THEN
        token := NULL;
    END IF;
END $guard$;

------------------------------------------------------------------------------------------------ cases

-- Whether a case is one on which anything may be done to anybody (P18): two findings, and of a copyright notice its six
-- elements; of each the newest counts.
CREATE FUNCTION public.case_is_valid(a_case uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    what text;
    wanted text[] := ARRAY['authentic', 'accurate'];
BEGIN
    SELECT c.kind INTO what FROM public.disclosures_abusecase c WHERE c.id = a_case;
    IF NOT FOUND OR what = 'csam' THEN
        RETURN false;
    END IF;
    IF what = 'dmca' THEN
        wanted := wanted || ARRAY['signature', 'work', 'material', 'contact', 'good_faith', 'accuracy'];
    END IF;
    PERFORM 1 FROM unnest(wanted) AS w(item)
      WHERE NOT coalesce((SELECT f.is_met FROM public.disclosures_casefinding f
                           WHERE f.case_id = a_case AND f.item = w.item ORDER BY f.found_at DESC, f.id DESC LIMIT 1), false);
    RETURN NOT FOUND;
END $guard$;
REVOKE ALL ON FUNCTION public.case_is_valid(uuid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION public.guard_abuse_case() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    kept bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closed_at IS NOT NULL OR NEW.complainant_id IS NOT NULL OR NEW.forgotten_at IS NOT NULL
           OR NEW.forgotten_xid IS NOT NULL THEN
            RAISE EXCEPTION 'a case begins open' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.reference, NEW.opened_at, NEW.source, NEW.source_at, NEW.source_digest)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.opened_at, OLD.source, OLD.source_at, OLD.source_digest) THEN
        RAISE EXCEPTION 'case % keeps its reference and what it is about', OLD.id USING ERRCODE = 'PH003';
    END IF;
    NEW.forgotten_xid := OLD.forgotten_xid;
    IF OLD.closed_at IS NOT NULL THEN
        IF OLD.forgotten_at IS NOT NULL OR NEW.forgotten_at IS NULL
           OR (to_jsonb(NEW) - 'forgotten_at') IS DISTINCT FROM (to_jsonb(OLD) - 'forgotten_at') THEN
            IF to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD) THEN
                RAISE EXCEPTION 'case % is closed; that stays', OLD.id USING ERRCODE = 'PH003';
            END IF;
            RETURN NEW;
        END IF;
        SELECT l.seconds INTO kept FROM public.retention_limit l WHERE l.name = 'case_kept';
        IF OLD.closed_at > clock_timestamp() - make_interval(secs => coalesce(kept, 94608000)) THEN
            RAISE EXCEPTION 'case % is kept until its time is over', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF OLD.account_id IS NOT NULL THEN
            PERFORM 1 FROM public.accounts_account a WHERE a.id = OLD.account_id FOR UPDATE;
            PERFORM 1 FROM public.retention_hold h
              WHERE h.account_id = OLD.account_id AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp());
            IF FOUND THEN
                RAISE EXCEPTION 'case % is governed and stays', OLD.id USING ERRCODE = 'PH001';
            END IF;
        END IF;
        NEW.forgotten_xid := pg_current_xact_id()::text::bigint;
        RETURN NEW;
    END IF;
    IF NEW.forgotten_at IS NOT NULL THEN
        RAISE EXCEPTION 'case % is not closed', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.closed_at < clock_timestamp() - interval '1 hour' THEN
        RAISE EXCEPTION 'case % is closed now, and kept from then on', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- Whom it concerns, and what it is about, stand once that customer was told.
    IF (NEW.account_id, NEW.service, NEW.kind) IS DISTINCT FROM (OLD.account_id, OLD.service, OLD.kind) THEN
        PERFORM 1 FROM public.disclosures_abusenotice n WHERE n."case" = OLD.id AND n.ended_at IS NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'case %: its customer was told; end that notice first', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    IF NEW.closed_at IS NOT NULL THEN
        PERFORM 1 FROM public.disclosures_abusenotice n WHERE n."case" = OLD.id AND n.ended_at IS NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'case %: its notice has not ended', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;

------------------------------------------------------------------------------------------------ notices

-- What happened stays as it was written; the clock finds silence only where there was time and no answer.
CREATE FUNCTION public.guard_abuse_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    was jsonb;
    becomes jsonb;
    -- Sealed words are outside: the case has its own copy, which nobody can change.
    begins text[] := ARRAY['id', 'account_id', 'reference', 'case', 'kind', 'service', 'sent_at', 'letter'];
    once text[] := ARRAY['acknowledged_at', 'acknowledged_by', 'disagreed_at', 'disagreed_by', 'countered_at',
                         'extended_at', 'extended_by', 'second_at'];
    sealed text[] := ARRAY['claim', 'reporter', 'original', 'extension_reason', 'disagreement', 'lift_evidence'];
    again boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_abusecase c
          WHERE c.id = NEW."case" AND c.account_id = NEW.account_id AND c.kind = NEW.kind AND c.found = 'one'
            AND c.closed_at IS NULL FOR SHARE;
        IF NOT FOUND OR coalesce(NEW.delivered_at, NEW.bounced_at, NEW.second_at, NEW.reminded_at, NEW.material_by,
            NEW.act_by, NEW.extended_at, NEW.acknowledged_at, NEW.remedied_at, NEW.disagreed_at, NEW.countered_at,
            NEW.lapsed_at, NEW.suspended_at, NEW.lifted_at, NEW.ended_at) IS NOT NULL THEN
            RAISE EXCEPTION 'a notice tells the customer of an open case, and nothing happened yet' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    was := to_jsonb(OLD);
    becomes := to_jsonb(NEW);
    IF OLD.ended_at IS NOT NULL AND (becomes - sealed) IS DISTINCT FROM (was - sealed) THEN
        RAISE EXCEPTION 'notice % has ended; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(begins) AS f(name)
      WHERE becomes -> f.name IS DISTINCT FROM was -> f.name AND NOT (f.name = 'letter'
          AND (OLD.letter IS NULL OR (OLD.bounced_at IS NULL AND NEW.bounced_at IS NOT NULL)));
    IF FOUND THEN
        RAISE EXCEPTION 'notice % stays as it was sent', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(once) AS f(name)
      WHERE was -> f.name <> 'null'::jsonb AND becomes -> f.name IS DISTINCT FROM was -> f.name;
    IF FOUND THEN
        RAISE EXCEPTION 'notice %: what was answered stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    -- Somebody looked again and saw it still there: the answer is asked for once more.
    PERFORM 1 FROM public.disclosures_abusenoticeitem i
      WHERE i.notice_id = OLD.id AND i.disputed_at IS NOT NULL AND (i.fixed_at IS NULL OR i.disputed_at >= i.fixed_at);
    again := FOUND;
    IF NEW.act_by IS DISTINCT FROM OLD.act_by AND NOT (
           (OLD.act_by IS NULL AND OLD.delivered_at IS NULL AND NEW.delivered_at IS NOT NULL)
        OR (NEW.act_by IS NULL AND OLD.bounced_at IS NULL AND NEW.bounced_at IS NOT NULL AND OLD.lapsed_at IS NULL)
        OR (OLD.extended_at IS NULL AND NEW.extended_at IS NOT NULL AND NEW.act_by > OLD.act_by
            AND NEW.act_by <= OLD.sent_at + interval '30 days')
        OR (again AND NEW.act_by > OLD.act_by)) THEN
        RAISE EXCEPTION 'notice %: the time to answer moves by delivery, one extension or a dispute', OLD.id
            USING ERRCODE = 'PH003';
    END IF;
    IF OLD.bounced_at IS NOT NULL AND NEW.bounced_at IS DISTINCT FROM OLD.bounced_at
       OR (NEW.delivered_at IS DISTINCT FROM OLD.delivered_at AND OLD.delivered_at IS NOT NULL
           AND (NEW.delivered_at IS NOT NULL OR OLD.bounced_at IS NOT NULL OR NEW.bounced_at IS NULL)) THEN
        RAISE EXCEPTION 'notice %: it was delivered once, and comes back once', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.remedied_at IS NOT NULL AND NEW.remedied_at IS DISTINCT FROM OLD.remedied_at AND NOT again THEN
        RAISE EXCEPTION 'notice %: what was answered stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.remedied_at IS NOT NULL AND OLD.remedied_at IS NULL THEN
        PERFORM 1 FROM public.disclosures_abusenoticeitem i
          WHERE i.notice_id = OLD.id AND (i.fixed_at IS NULL OR i.disputed_at >= i.fixed_at);
        IF FOUND OR NOT EXISTS (SELECT 1 FROM public.disclosures_abusenoticeitem i WHERE i.notice_id = OLD.id) THEN
            RAISE EXCEPTION 'notice % is not remedied everywhere', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    IF OLD.lapsed_at IS NOT NULL AND NEW.lapsed_at IS DISTINCT FROM OLD.lapsed_at AND NOT again THEN
        RAISE EXCEPTION 'notice %: that nobody answered in time stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.lapsed_at IS NOT NULL AND NEW.lapsed_at IS DISTINCT FROM OLD.lapsed_at AND (
           NEW.delivered_at IS NULL OR NEW.act_by IS NULL OR NEW.act_by > clock_timestamp()
        OR NEW.remedied_at IS NOT NULL OR NEW.disagreed_at IS NOT NULL OR NEW.countered_at IS NOT NULL) THEN
        RAISE EXCEPTION 'notice %: there is time, or an answer', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.suspension IS DISTINCT FROM OLD.suspension THEN
        IF OLD.suspension IS NOT NULL AND OLD.lifted_at IS NULL THEN
            RAISE EXCEPTION 'notice % has its suspension', OLD.id USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_suspension s
          WHERE s.id = NEW.suspension AND s.account_id = OLD.account_id AND s.ground = 'abuse'
            AND s.service IS NOT DISTINCT FROM OLD.service AND s.lifted_at IS NULL;
        IF NOT FOUND OR NOT public.case_is_valid(OLD."case") THEN
            RAISE EXCEPTION 'notice %: nobody is suspended without two findings', OLD.id USING ERRCODE = 'PH003';
        END IF;
    ELSIF OLD.lifted_at IS NOT NULL AND (NEW.lifted_at, NEW.lifted_by, NEW.lifted_how)
          IS DISTINCT FROM (OLD.lifted_at, OLD.lifted_by, OLD.lifted_how) THEN
        RAISE EXCEPTION 'notice %: its suspension was lifted; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.lifted_at IS NOT NULL AND OLD.lifted_at IS NULL THEN
        IF NEW.lifted_how = 'remedied' AND (NEW.acknowledged_at IS NULL OR NEW.remedied_at IS NULL) THEN
            RAISE EXCEPTION 'notice %: not acknowledged and remedied', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'put_back' AND NOT EXISTS (
            SELECT 1 FROM public.disclosures_counternotice k WHERE k.notice_id = OLD.id AND k.put_back_at IS NOT NULL) THEN
            RAISE EXCEPTION 'notice %: nothing was put back', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'refuted' AND coalesce(NEW.ended_how, '') NOT IN ('withdrawn', 'refuted') THEN
            RAISE EXCEPTION 'notice %: the complaint did not fall', OLD.id USING ERRCODE = 'PH003';
        END IF;
        IF NEW.lifted_how = 'appeal' AND NOT EXISTS (
            SELECT 1 FROM public.disclosures_strike s
             WHERE s.notice_id = OLD.id AND s.decided_at IS NOT NULL AND s.overruled_at IS NOT NULL) THEN
            RAISE EXCEPTION 'notice %: no appeal was decided in favour', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_abuse_notice BEFORE INSERT OR UPDATE ON public.disclosures_abusenotice
    FOR EACH ROW EXECUTE FUNCTION public.guard_abuse_notice();
ALTER TABLE public.disclosures_abusenotice ENABLE ALWAYS TRIGGER z_guard_abuse_notice;

CREATE FUNCTION public.guard_abuse_item() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    about record;
    sealed text[] := ARRAY['location', 'done', 'seen'];
BEGIN
    IF TG_OP = 'UPDATE' AND (to_jsonb(NEW) - sealed) IS NOT DISTINCT FROM (to_jsonb(OLD) - sealed) THEN
        RETURN NEW;
    END IF;
    SELECT n.account_id, n."case", n.kind, n.ended_at INTO about
      FROM public.disclosures_abusenotice n WHERE n.id = NEW.notice_id;
    IF NOT FOUND OR about.account_id <> NEW.account_id OR about.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'an item belongs to an open notice of its account' USING ERRCODE = 'PH003';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF coalesce(NEW.fixed_at, NEW.disputed_at, NEW.disabled_at, NEW.restored_at) IS NOT NULL THEN
            RAISE EXCEPTION 'an item begins as it was reported' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.notice_id, NEW.number, NEW.told_at) IS DISTINCT FROM (OLD.id, OLD.notice_id, OLD.number, OLD.told_at) THEN
        RAISE EXCEPTION 'item % stays as it was reported', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.fixed_at < OLD.fixed_at OR (OLD.fixed_at IS NOT NULL AND NEW.fixed_at IS NULL)
       OR NEW.disputed_at < OLD.disputed_at OR (OLD.disputed_at IS NOT NULL AND NEW.disputed_at IS NULL)
       OR (OLD.disabled_at IS NOT NULL AND NEW.disabled_at IS DISTINCT FROM OLD.disabled_at)
       OR (OLD.restored_at IS NOT NULL AND NEW.restored_at IS DISTINCT FROM OLD.restored_at) THEN
        RAISE EXCEPTION 'item %: what happened stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL
       AND (about.kind NOT IN ('dmca', 'ncii') OR NOT public.case_is_valid(about."case")) THEN
        RAISE EXCEPTION 'item %: material is disabled on a valid notice only', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_abuse_item BEFORE INSERT OR UPDATE ON public.disclosures_abusenoticeitem
    FOR EACH ROW EXECUTE FUNCTION public.guard_abuse_item();
ALTER TABLE public.disclosures_abusenoticeitem ENABLE ALWAYS TRIGGER z_guard_abuse_item;

-- 17 USC 512(g): what was signed stays; put back not before its first day, and not once a court was asked.
CREATE FUNCTION public.guard_counter_notice() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['put_back_on', 'forwarded_at', 'stopped_at', 'stopped_by', 'court_action', 'put_back_at',
                            'put_back_by'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.signed_at IS NOT NULL OR NEW.forwarded_at IS NOT NULL THEN
            RAISE EXCEPTION 'a counter-notice begins as a draft' USING ERRCODE = 'PH003';
        END IF;
    ELSIF (NEW.id, NEW.notice_id, NEW.account_id) IS DISTINCT FROM (OLD.id, OLD.notice_id, OLD.account_id)
          OR (OLD.signed_at IS NOT NULL AND (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)) THEN
        RAISE EXCEPTION 'counter-notice % stays as it was signed', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.signed_at IS NULL THEN
        RETURN NEW;
    END IF;
    IF OLD.signed_at IS NULL THEN
        PERFORM 1 FROM public.disclosures_abusenotice n
          WHERE n.id = NEW.notice_id AND n.account_id = NEW.account_id AND n.kind = 'dmca' AND n.ended_at IS NULL;
        IF NOT FOUND OR cardinality(NEW.items) = 0 OR EXISTS (
            SELECT 1 FROM unnest(NEW.items) AS w(id) WHERE NOT EXISTS (
                SELECT 1 FROM public.disclosures_abusenoticeitem i
                 WHERE i.id = w.id AND i.notice_id = NEW.notice_id AND i.disabled_at IS NOT NULL)) THEN
            RAISE EXCEPTION 'a counter-notice asks back what was disabled' USING ERRCODE = 'PH003';
        END IF;
        -- Ten business days are twelve days at the least; a day less, because a day begins elsewhere at another hour.
        IF coalesce(NEW.put_back_at, NEW.stopped_at, NEW.forwarded_at) IS NOT NULL
           OR NEW.signed_at < clock_timestamp() - interval '1 hour' OR NEW.signed_at > clock_timestamp() + interval '1 hour'
           OR NEW.put_back_from < (NEW.signed_at AT TIME ZONE 'UTC')::date + 11 THEN
            RAISE EXCEPTION 'counter-notice % is signed now, and its days are counted from now', OLD.id
                USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.put_back_on IS DISTINCT FROM OLD.put_back_on AND NEW.put_back_on IS DISTINCT FROM OLD.put_back_from THEN
        RAISE EXCEPTION 'counter-notice %: the day moves to the first one only', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF (OLD.stopped_at IS NOT NULL AND NEW.stopped_at IS DISTINCT FROM OLD.stopped_at)
       OR (OLD.put_back_at IS NOT NULL AND (NEW.put_back_at IS DISTINCT FROM OLD.put_back_at OR NEW.stopped_at IS NOT NULL))
       OR (OLD.forwarded_at IS NOT NULL AND NEW.forwarded_at IS DISTINCT FROM OLD.forwarded_at) THEN
        RAISE EXCEPTION 'counter-notice %: what happened stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.put_back_at IS NULL AND NEW.put_back_at IS NOT NULL
       AND NEW.put_back_on > (clock_timestamp() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION 'counter-notice %: it is not the day', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_counter_notice BEFORE INSERT OR UPDATE ON public.disclosures_counternotice
    FOR EACH ROW EXECUTE FUNCTION public.guard_counter_notice();
ALTER TABLE public.disclosures_counternotice ENABLE ALWAYS TRIGGER z_guard_counter_notice;

CREATE FUNCTION public.guard_strike() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    once text[] := ARRAY['overruled_at', 'overruled_by', 'overruled_why', 'appeal', 'appealed_at', 'appealed_by',
                         'decided_at', 'decided_by', 'decision'];
    was jsonb;
    becomes jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM 1 FROM public.disclosures_abusenotice n
          WHERE n.id = NEW.notice_id AND n.account_id = NEW.account_id AND public.case_is_valid(n."case");
        IF NOT FOUND OR coalesce(NEW.overruled_at, NEW.appealed_at, NEW.decided_at) IS NOT NULL THEN
            RAISE EXCEPTION 'a strike stands on a valid notice' USING ERRCODE = 'PH003';
        END IF;
        PERFORM 1 FROM public.accounts_user u WHERE u.id = NEW.given_by AND u.is_staff AND u.is_active;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a strike is given by a member of staff' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    was := to_jsonb(OLD);
    becomes := to_jsonb(NEW);
    IF (becomes - once) IS DISTINCT FROM (was - once) THEN
        RAISE EXCEPTION 'strike % stays as it was given', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM unnest(once) AS f(name)
      WHERE f.name NOT IN ('overruled_why', 'appeal', 'decision')
        AND was -> f.name NOT IN ('null'::jsonb, '""'::jsonb) AND becomes -> f.name IS DISTINCT FROM was -> f.name;
    IF FOUND THEN
        RAISE EXCEPTION 'strike %: what was said stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_strike BEFORE INSERT OR UPDATE ON public.disclosures_strike
    FOR EACH ROW EXECUTE FUNCTION public.guard_strike();
ALTER TABLE public.disclosures_strike ENABLE ALWAYS TRIGGER z_guard_strike;

-- P18, P19: the abuse desk suspends on two findings and after silence, and what it suspended runs again with its ground.
CREATE FUNCTION public.guard_suspension() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    movable text[] := ARRAY['lifted_at', 'lifted_by'];
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.ground = 'abuse' THEN
            PERFORM 1 FROM public.disclosures_abusenotice n
              WHERE n.account_id = NEW.account_id AND n.service IS NOT DISTINCT FROM NEW.service
                AND n.lapsed_at IS NOT NULL AND n.ended_at IS NULL AND n.remedied_at IS NULL AND n.disagreed_at IS NULL
                AND n.countered_at IS NULL AND (n.suspension IS NULL OR n.lifted_at IS NOT NULL)
                AND public.case_is_valid(n."case");
            IF NOT FOUND THEN
                RAISE EXCEPTION 'account %: no valid notice went unanswered', NEW.account_id USING ERRCODE = 'PH003';
            END IF;
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.ground <> 'abuse' AND NEW.ground <> 'abuse' THEN
        RETURN NEW;
    END IF;
    IF (to_jsonb(NEW) - movable) IS DISTINCT FROM (to_jsonb(OLD) - movable)
       OR (OLD.lifted_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD)) THEN
        RAISE EXCEPTION 'suspension % stays as it was placed', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.lifted_at IS NULL AND NEW.lifted_at IS NOT NULL THEN
        -- One that no notice names was placed by nobody's act: it may end.
        PERFORM 1 FROM public.disclosures_abusenotice n WHERE n.suspension = OLD.id AND n.lifted_at IS NULL;
        IF FOUND THEN
            RAISE EXCEPTION 'suspension % has no ground for being lifted', OLD.id USING ERRCODE = 'PH003';
        END IF;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_suspension BEFORE INSERT OR UPDATE ON public.accounts_suspension
    FOR EACH ROW EXECUTE FUNCTION public.guard_suspension();
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_suspension;

------------------------------------------------------------------------------------------------ evidence and grants

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_casecopy
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_casecopy ENABLE ALWAYS TRIGGER z_guard_evidence;
REVOKE UPDATE, DELETE ON disclosures_casecopy FROM portal_runtime;
