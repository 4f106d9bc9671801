-- The last wall: whatever the application does, an active hold and the erasure of what it covers cannot both be.
-- Every function locks the accounts concerned first, alone, and looks at holds or erasures in a new statement.
-- Error codes: PH001 governed, stays; PH002 already gone; PH003 not allowed; PH004 the category is deleted.

------------------------------------------------------------------------------------------------ governed tables

CREATE FUNCTION public.guard_delete() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    guarded text := TG_ARGV[0];
    moment text := TG_ARGV[1];
    concerned uuid[];
    governed uuid;
BEGIN
    IF guarded = 'credentials' THEN
        RETURN NULL;
    END IF;
    concerned := ARRAY(SELECT DISTINCT g.account_id FROM gone g WHERE g.account_id IS NOT NULL);
    IF cardinality(concerned) = 0 THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    SELECT h.account_id INTO governed FROM public.retention_hold h
     WHERE h.account_id = ANY(concerned) AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
       AND (cardinality(h.categories) = 0 OR guarded = ANY(h.categories)) AND NOT guarded = ANY(h.already_gone)
       AND h.period_from IS NULL AND h.period_to IS NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %: rows of % are governed and stay', governed, TG_TABLE_NAME USING ERRCODE = 'PH001';
    END IF;
    PERFORM 1 FROM public.retention_hold h
      WHERE h.account_id = ANY(concerned) AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
        AND (h.period_from IS NOT NULL OR h.period_to IS NOT NULL);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT h.account_id INTO governed
      FROM public.retention_hold h JOIN gone g ON g.account_id = h.account_id
     WHERE (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
       AND (cardinality(h.categories) = 0 OR guarded = ANY(h.categories)) AND NOT guarded = ANY(h.already_gone)
       AND coalesce((to_jsonb(g) ->> moment)::timestamptz >= h.period_from, true)
       AND coalesce((to_jsonb(g) ->> moment)::timestamptz < h.period_to, true)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %: rows of % are governed and stay', governed, TG_TABLE_NAME USING ERRCODE = 'PH001';
    END IF;
    RETURN NULL;
END $guard$;

-- An edit is never refused (a refusal would tell of a sealed hold): the old row is kept as it was.
CREATE FUNCTION public.guard_update() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    guarded text := TG_ARGV[0];
    moment text := TG_ARGV[1];
    concerned uuid[];
BEGIN
    IF guarded = 'credentials' THEN
        RETURN NULL;
    END IF;
    concerned := ARRAY(SELECT DISTINCT w.account_id FROM was w WHERE w.account_id IS NOT NULL);
    IF cardinality(concerned) = 0 THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR NO KEY UPDATE;
    INSERT INTO public.retention_keptversion (account_id, category, table_name, "row", kept_at)
    SELECT w.account_id, guarded, TG_TABLE_NAME, to_jsonb(w), clock_timestamp() FROM was w
     WHERE EXISTS (
        SELECT 1 FROM public.retention_hold h
         WHERE h.account_id = w.account_id AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
           AND (cardinality(h.categories) = 0 OR guarded = ANY(h.categories)) AND NOT guarded = ANY(h.already_gone)
           AND coalesce((to_jsonb(w) ->> moment)::timestamptz >= h.period_from, true)
           AND coalesce((to_jsonb(w) ->> moment)::timestamptz < h.period_to, true));
    RETURN NULL;
END $guard$;

-- A row of a transaction still open while the purge runs would outlive the erasure.
CREATE FUNCTION public.guard_insert() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    guarded text := TG_ARGV[0];
    concerned uuid[];
    gone_for uuid;
BEGIN
    concerned := ARRAY(SELECT DISTINCT f.account_id FROM fresh f WHERE f.account_id IS NOT NULL);
    IF cardinality(concerned) = 0 THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR NO KEY UPDATE;
    SELECT e.account_id INTO gone_for FROM public.retention_erasure e
     WHERE e.account_id = ANY(concerned) AND e.category = guarded AND e.state IN ('gone', 'verified') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %: % is deleted, nothing can be added', gone_for, guarded USING ERRCODE = 'PH004';
    END IF;
    RETURN NULL;
END $guard$;

CREATE FUNCTION public.guard_move() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'a row of % keeps its account', TG_TABLE_NAME USING ERRCODE = 'PH003';
END $guard$;

CREATE FUNCTION public.guard_truncate() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION '% is governed: TRUNCATE is refused', TG_TABLE_NAME USING ERRCODE = 'PH001';
END $guard$;

CREATE FUNCTION public.guard_evidence() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'rows of % are evidence: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'PH003';
END $guard$;

------------------------------------------------------------------------------------------------ the account row

CREATE FUNCTION public.guard_account() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    grace bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'active' OR NEW.hold_epoch <> 0 THEN
            RAISE EXCEPTION 'an account begins active' USING ERRCODE = 'PH003';
        END IF;
        -- Keys go by subject: an account with the id of another subject could be erased to destroy that one's key.
        PERFORM 1 FROM public.retention_hold h WHERE h.id = NEW.id
          UNION ALL
        SELECT 1 FROM public.accounts_user u WHERE u.id = NEW.id;
        IF FOUND THEN
            RAISE EXCEPTION 'account % has the id of another subject', NEW.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id OR NEW.number <> OLD.number OR NEW.created_at <> OLD.created_at
       OR NEW.hold_epoch NOT IN (OLD.hold_epoch, OLD.hold_epoch + 1) THEN
        RAISE EXCEPTION 'account % keeps its id, number, creation and epoch', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.state = OLD.state THEN
        IF (NEW.closed_at, NEW.due_at, NEW.erased_at) IS DISTINCT FROM (OLD.closed_at, OLD.due_at, OLD.erased_at) THEN
            RAISE EXCEPTION 'account % keeps its dates while it is %', OLD.id, OLD.state USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state = 'active' AND NEW.state = 'closed' THEN
        SELECT l.seconds INTO grace FROM public.retention_limit l WHERE l.name = 'grace';
        IF NEW.due_at < NEW.closed_at + make_interval(secs => coalesce(grace, 2592000)) THEN
            RAISE EXCEPTION 'account % is due before its grace period ends', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state = 'closed' AND NEW.state = 'active' THEN
        PERFORM 1 FROM public.retention_erasure e
          WHERE e.account_id = OLD.id AND e.state <> 'cancelled' AND e.rows_gone_at IS NOT NULL;
        IF NOT FOUND THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'account % is being deleted and cannot be opened again', OLD.id USING ERRCODE = 'PH002';
    END IF;
    IF OLD.state = 'closed' AND NEW.state = 'erased' THEN
        PERFORM 1 FROM public.retention_erasure e
          WHERE e.account_id = OLD.id AND e.kept_for = '' AND e.state IN ('due', 'gone');
        IF NOT FOUND THEN
            PERFORM 1 FROM public.retention_erasure e WHERE e.account_id = OLD.id AND e.state = 'verified';
            IF FOUND THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'account % is not verified gone', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RAISE EXCEPTION 'account % cannot go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'PH003';
END $guard$;

------------------------------------------------------------------------------------------------ holds

CREATE FUNCTION public.guard_hold() RETURNS trigger LANGUAGE plpgsql VOLATILE
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

CREATE FUNCTION public.guard_release() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.approved_at IS NOT NULL THEN
        RAISE EXCEPTION 'a release is asked for first and approved afterwards' USING ERRCODE = 'PH003';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.approved_at IS NOT NULL
       OR (NEW.id, NEW.hold_id, NEW.requested_by, NEW.requested_at) IS DISTINCT FROM (OLD.id, OLD.hold_id, OLD.requested_by, OLD.requested_at)) THEN
        RAISE EXCEPTION 'release % stays as it is', OLD.id USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM public.accounts_user u
      WHERE u.id = coalesce(NEW.approved_by, NEW.requested_by) AND u.is_staff AND u.is_active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a release is asked for and approved by active staff' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

-- A dispute that ended stays as it ended: reopened afterwards, the release of its hold would have had no ground.
CREATE FUNCTION public.guard_dispute() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF OLD.state <> 'open' AND (NEW.state, NEW.closed_at, NEW.closed_by) IS DISTINCT FROM (OLD.state, OLD.closed_at, OLD.closed_by) THEN
        RAISE EXCEPTION 'dispute % is %; that stays', OLD.id, OLD.state USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

------------------------------------------------------------------------------------------------ erasures

CREATE FUNCTION public.guard_erasure_insert() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NEW.state <> 'due' OR NEW.rows_gone_at IS NOT NULL OR NEW.unreachable_at IS NOT NULL OR NEW.gone_xid IS NOT NULL THEN
        RAISE EXCEPTION 'an erasure begins due' USING ERRCODE = 'PH003';
    END IF;
    IF NEW.category IN ('legal', 'mail') THEN
        RAISE EXCEPTION 'the category % does not end with an account', NEW.category USING ERRCODE = 'PH003';
    END IF;
    PERFORM 1 FROM public.accounts_account a
      WHERE a.id = NEW.account_id AND a.state = 'closed' AND a.due_at <= NEW.due_at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % is not closed, or due later than its erasure', NEW.account_id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE FUNCTION public.guard_erasure_update() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
        (SELECT 'accounts_accessevent' AS tab FROM public.accounts_accessevent t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'access')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_address' AS tab FROM public.accounts_address t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_contact' AS tab FROM public.accounts_contact t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'contact')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_correspondence' AS tab FROM public.accounts_correspondence t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'correspondence')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoice' AS tab FROM public.accounts_invoice t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_invoiceline' AS tab FROM public.accounts_invoiceline t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'invoices')) LIMIT 1)
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
        (SELECT 'accounts_service' AS tab FROM public.accounts_service t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'services')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_session' AS tab FROM public.accounts_session t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_signinidentifier' AS tab FROM public.accounts_signinidentifier t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticket' AS tab FROM public.accounts_ticket t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_ticketmessage' AS tab FROM public.accounts_ticketmessage t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'support')) LIMIT 1)
        UNION ALL
        (SELECT 'accounts_user' AS tab FROM public.accounts_user t
          WHERE t.account_id = ANY(ARRAY(SELECT e.account_id FROM e WHERE e.category = 'credentials')) LIMIT 1)
      ) x LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rows of % are left: not gone', left_over USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

------------------------------------------------------------------------------------------------ key destruction

-- Mints one token for the orders that may be obeyed: what made them due was committed by an earlier transaction.
-- "xid <> own" is needed beside the snapshot: one's own open transaction can look visible once a later one has ended.
CREATE FUNCTION public.mint_destruction(orders uuid[], OUT minted text, OUT token bytea, OUT allowed uuid[])
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
                  AND pg_visible_in_snapshot(m.ended_xid::text::xid8, pg_current_snapshot())));
    SELECT minted || '|' || string_agg(p.subject::text || ':' || p.category, ',' ORDER BY p.subject, p.category)
      INTO message
      FROM (SELECT DISTINCT o.subject, c.category FROM public.safeguards_destructionorder o, unnest(o.categories) AS c(category)
             WHERE o.id = ANY(allowed)) p;
    token := sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(coalesce(message, ''), 'UTF8')));
    IF allowed IS NULL THEN
        token := NULL;
    END IF;
END $guard$;

------------------------------------------------------------------------------------------------ kept versions

CREATE FUNCTION public.read_kept_versions(of_account uuid, reader uuid)
RETURNS TABLE (category text, table_name text, "row" jsonb, kept_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    entry uuid := gen_random_uuid();
    salt bytea := uuid_send(gen_random_uuid());
    body text;
    now_at timestamptz := clock_timestamp();
BEGIN
    PERFORM 1 FROM public.accounts_user u WHERE u.id = reader AND u.is_staff AND u.is_active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'kept versions are read by active staff' USING ERRCODE = 'PH003';
    END IF;
    body := format('{"action":"kept_versions.read","actor":"staff:%s","at":"%s","id":"%s","subject":"%s"}', reader,
        to_char(now_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), entry, of_account);
    INSERT INTO public.safeguards_ledgerentry (id, at, actor, action, subject, body, salt, leaf)
    VALUES (entry, now_at, 'staff:' || reader, 'kept_versions.read', of_account, body, salt,
            sha256('\x00'::bytea || salt || convert_to(body, 'UTF8')));
    RETURN QUERY SELECT v.category::text, v.table_name::text, v."row", v.kept_at FROM public.retention_keptversion v
        WHERE v.account_id = of_account ORDER BY v.id;
END $guard$;

-- Deletes kept versions that no active hold covers any more; returns how many.
CREATE FUNCTION public.sweep_kept_versions(most integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    concerned uuid[];
    swept bigint;
BEGIN
    concerned := ARRAY(SELECT DISTINCT v.account_id FROM (
        SELECT k.account_id FROM public.retention_keptversion k WHERE NOT EXISTS (
            SELECT 1 FROM public.retention_hold h
             WHERE h.account_id = k.account_id AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
               AND (cardinality(h.categories) = 0 OR k.category = ANY(h.categories)) AND NOT k.category = ANY(h.already_gone))
         ORDER BY k.id LIMIT most) v);
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    DELETE FROM public.retention_keptversion v
     WHERE v.account_id = ANY(concerned) AND NOT EXISTS (
        SELECT 1 FROM public.retention_hold h
         WHERE h.account_id = v.account_id AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
           AND (cardinality(h.categories) = 0 OR v.category = ANY(h.categories)) AND NOT v.category = ANY(h.already_gone));
    GET DIAGNOSTICS swept = ROW_COUNT;
    RETURN swept;
END $guard$;

------------------------------------------------------------------------------------------------ triggers

CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_accessevent REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('access', 'at');
ALTER TABLE public.accounts_accessevent ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_accessevent REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('access', 'at');
ALTER TABLE public.accounts_accessevent ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_accessevent REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('access');
ALTER TABLE public.accounts_accessevent ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_accessevent FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_accessevent ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_accessevent FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_accessevent ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_address REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('contact', 'created_at');
ALTER TABLE public.accounts_address ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_address REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('contact', 'created_at');
ALTER TABLE public.accounts_address ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_address REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('contact');
ALTER TABLE public.accounts_address ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_address FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_address ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_address FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_address ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_contact REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('contact', 'created_at');
ALTER TABLE public.accounts_contact ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_contact REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('contact', 'created_at');
ALTER TABLE public.accounts_contact ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_contact REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('contact');
ALTER TABLE public.accounts_contact ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_contact FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_contact ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_contact FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_contact ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_correspondence REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('correspondence', 'created_at');
ALTER TABLE public.accounts_correspondence ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_correspondence REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('correspondence', 'created_at');
ALTER TABLE public.accounts_correspondence ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_correspondence REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('correspondence');
ALTER TABLE public.accounts_correspondence ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_correspondence FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_correspondence ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_correspondence FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_correspondence ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_invoice REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('invoices', 'issued_at');
ALTER TABLE public.accounts_invoice ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_invoice REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('invoices', 'issued_at');
ALTER TABLE public.accounts_invoice ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_invoice REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('invoices');
ALTER TABLE public.accounts_invoice ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_invoice FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_invoice ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_invoice FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_invoice ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_invoiceline REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('invoices', 'created_at');
ALTER TABLE public.accounts_invoiceline ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_invoiceline REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('invoices', 'created_at');
ALTER TABLE public.accounts_invoiceline ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_invoiceline REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('invoices');
ALTER TABLE public.accounts_invoiceline ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_invoiceline FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_invoiceline ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_invoiceline FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_invoiceline ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_payment REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('invoices', 'paid_at');
ALTER TABLE public.accounts_payment ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_payment REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('invoices', 'paid_at');
ALTER TABLE public.accounts_payment ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_payment REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('invoices');
ALTER TABLE public.accounts_payment ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_payment FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_payment ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_payment FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_payment ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_paymentmethod REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('billing', 'created_at');
ALTER TABLE public.accounts_paymentmethod ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_paymentmethod REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('billing', 'created_at');
ALTER TABLE public.accounts_paymentmethod ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_paymentmethod REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('billing');
ALTER TABLE public.accounts_paymentmethod ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_paymentmethod FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_paymentmethod ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_paymentmethod FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_paymentmethod ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_person REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('identity', 'created_at');
ALTER TABLE public.accounts_person ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_person REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('identity', 'created_at');
ALTER TABLE public.accounts_person ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_person REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('identity');
ALTER TABLE public.accounts_person ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_person FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_person ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_person FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_person ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_service REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('services', 'started_at');
ALTER TABLE public.accounts_service ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_service REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('services', 'started_at');
ALTER TABLE public.accounts_service ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_service REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('services');
ALTER TABLE public.accounts_service ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_service FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_service ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_service FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_service ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_session REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_session ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_session REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_session ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_session REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_session ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_session FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_session ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_session FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_session ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_signinidentifier REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_signinidentifier ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_signinidentifier REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_signinidentifier ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_signinidentifier REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_signinidentifier ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_signinidentifier FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_signinidentifier ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_signinidentifier FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_signinidentifier ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_ticket REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('support', 'created_at');
ALTER TABLE public.accounts_ticket ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_ticket REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('support', 'created_at');
ALTER TABLE public.accounts_ticket ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_ticket REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('support');
ALTER TABLE public.accounts_ticket ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_ticket FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_ticket ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_ticket FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_ticket ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_ticketmessage REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('support', 'created_at');
ALTER TABLE public.accounts_ticketmessage ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_ticketmessage REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('support', 'created_at');
ALTER TABLE public.accounts_ticketmessage ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_ticketmessage REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('support');
ALTER TABLE public.accounts_ticketmessage ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_ticketmessage FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_ticketmessage ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_ticketmessage FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_ticketmessage ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_user REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_user REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_user REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_user FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_user FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_user ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_account BEFORE INSERT OR UPDATE ON public.accounts_account
    FOR EACH ROW EXECUTE FUNCTION public.guard_account();
CREATE TRIGGER z_guard_hold BEFORE INSERT OR UPDATE ON public.retention_hold
    FOR EACH ROW EXECUTE FUNCTION public.guard_hold();
CREATE TRIGGER z_guard_release BEFORE INSERT OR UPDATE ON public.retention_holdrelease
    FOR EACH ROW EXECUTE FUNCTION public.guard_release();
CREATE TRIGGER z_guard_dispute BEFORE UPDATE ON public.retention_dispute
    FOR EACH ROW EXECUTE FUNCTION public.guard_dispute();
CREATE TRIGGER z_guard_erasure_insert BEFORE INSERT ON public.retention_erasure
    FOR EACH ROW EXECUTE FUNCTION public.guard_erasure_insert();
CREATE TRIGGER z_guard_erasure_update AFTER UPDATE ON public.retention_erasure
    REFERENCING OLD TABLE AS was NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.guard_erasure_update();
ALTER TABLE public.accounts_account ENABLE ALWAYS TRIGGER z_guard_account;
ALTER TABLE public.retention_hold ENABLE ALWAYS TRIGGER z_guard_hold;
ALTER TABLE public.retention_holdrelease ENABLE ALWAYS TRIGGER z_guard_release;
ALTER TABLE public.retention_dispute ENABLE ALWAYS TRIGGER z_guard_dispute;
ALTER TABLE public.retention_erasure ENABLE ALWAYS TRIGGER z_guard_erasure_insert;
ALTER TABLE public.retention_erasure ENABLE ALWAYS TRIGGER z_guard_erasure_update;

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.accounts_account
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.accounts_account ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_deletionrequest
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_deletionrequest ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_dispute
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_dispute ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_erasure
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_erasure ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_hold
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_hold ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_holdrelease
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_holdrelease ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.retention_purgeswitch
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.retention_purgeswitch ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.retention_keptversion
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_truncate();
ALTER TABLE public.retention_keptversion ENABLE ALWAYS TRIGGER z_guard_truncate;
------------------------------------------------------------------------------------------------ grants

REVOKE DELETE ON accounts_account FROM portal_runtime;
REVOKE UPDATE, DELETE ON retention_hold, retention_holdrelease FROM portal_runtime;
GRANT UPDATE (told_at, told_by, told_how, review_by, released_at, released_by) ON retention_hold TO portal_runtime;
GRANT UPDATE (approved_by, approved_at) ON retention_holdrelease TO portal_runtime;
REVOKE DELETE ON retention_erasure, retention_deletionrequest FROM portal_runtime;
REVOKE UPDATE, DELETE ON retention_dispute FROM portal_runtime;
GRANT UPDATE (state, closed_at, closed_by, evidence_due_at) ON retention_dispute TO portal_runtime;
REVOKE UPDATE, DELETE ON retention_purgeswitch FROM portal_runtime;
REVOKE INSERT, UPDATE, DELETE ON retention_limit FROM portal_runtime;
REVOKE ALL ON retention_keptversion FROM portal_runtime;
REVOKE INSERT, UPDATE, DELETE ON account_emailaddress, account_emailconfirmation, django_admin_log FROM portal_runtime;
REVOKE ALL ON FUNCTION public.mint_destruction(uuid[]), public.read_kept_versions(uuid, uuid),
    public.sweep_kept_versions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.mint_destruction(uuid[]), public.read_kept_versions(uuid, uuid),
    public.sweep_kept_versions(integer) TO portal_runtime;

-- What customer pages read of holds (silence.md, S2).
CREATE VIEW public.retention_told_hold AS
    SELECT h.id, h.account_id, h.kind, h.categories, h.cause, h.told_at, h.review_by
      FROM public.retention_hold h WHERE h.told_at IS NOT NULL AND h.released_at IS NULL;
REVOKE ALL ON public.retention_told_hold FROM portal_runtime;
GRANT SELECT ON public.retention_told_hold TO portal_runtime;
