-- The guards of what this release adds; functions that exist are replaced whole (the newest file counts).

------------------------------------------------------------------------------------------------ governed tables

CREATE OR REPLACE FUNCTION public.guard_insert() RETURNS trigger LANGUAGE plpgsql VOLATILE
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
    -- An account that was erased before this kind of data existed has no erasure of it, and gets no rows of it either.
    SELECT a.id INTO gone_for FROM public.accounts_account a
     WHERE a.id = ANY(concerned) AND a.state = 'erased' AND NOT EXISTS (
        SELECT 1 FROM public.retention_erasure e
         WHERE e.account_id = a.id AND e.category = guarded AND e.state = 'due') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %: % is deleted, nothing can be added', gone_for, guarded USING ERRCODE = 'PH004';
    END IF;
    RETURN NULL;
END $guard$;

CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_acceptance REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('consent', 'accepted_at');
ALTER TABLE public.accounts_acceptance ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_acceptance REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('consent', 'accepted_at');
ALTER TABLE public.accounts_acceptance ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_acceptance REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('consent');
ALTER TABLE public.accounts_acceptance ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_acceptance FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_acceptance ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_acceptance FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_acceptance ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_accounttoken REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_accounttoken ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_accounttoken REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_accounttoken ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_accounttoken REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_accounttoken ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_accounttoken FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_accounttoken ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_accounttoken FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_accounttoken ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_attachment REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('support', 'created_at');
ALTER TABLE public.accounts_attachment ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_attachment REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('support', 'created_at');
ALTER TABLE public.accounts_attachment ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_attachment REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('support');
ALTER TABLE public.accounts_attachment ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_attachment FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_attachment ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_attachment FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_attachment ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_billingprofile REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('billing', 'created_at');
ALTER TABLE public.accounts_billingprofile ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_billingprofile REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('billing', 'created_at');
ALTER TABLE public.accounts_billingprofile ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_billingprofile REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('billing');
ALTER TABLE public.accounts_billingprofile ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_billingprofile FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_billingprofile ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_billingprofile FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_billingprofile ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_businessitem REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('business', 'created_at');
ALTER TABLE public.accounts_businessitem ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_businessitem REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('business', 'created_at');
ALTER TABLE public.accounts_businessitem ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_businessitem REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('business');
ALTER TABLE public.accounts_businessitem ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_businessitem FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_businessitem ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_businessitem FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_businessitem ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_confidentialitem REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('confidential', 'created_at');
ALTER TABLE public.accounts_confidentialitem ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_confidentialitem REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('confidential', 'created_at');
ALTER TABLE public.accounts_confidentialitem ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_confidentialitem REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('confidential');
ALTER TABLE public.accounts_confidentialitem ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_confidentialitem FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_confidentialitem ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_confidentialitem FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_confidentialitem ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_device REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('access', 'last_seen_at');
ALTER TABLE public.accounts_device ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_device REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('access', 'last_seen_at');
ALTER TABLE public.accounts_device ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_device REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('access');
ALTER TABLE public.accounts_device ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_device FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_device ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_device FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_device ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_emailchange REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('contact', 'asked_at');
ALTER TABLE public.accounts_emailchange ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_emailchange REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('contact', 'asked_at');
ALTER TABLE public.accounts_emailchange ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_emailchange REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('contact');
ALTER TABLE public.accounts_emailchange ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_emailchange FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_emailchange ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_emailchange FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_emailchange ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_export REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'asked_at');
ALTER TABLE public.accounts_export ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_export REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'asked_at');
ALTER TABLE public.accounts_export ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_export REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_export ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_export FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_export ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_export FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_export ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_exportpart REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_exportpart ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_exportpart REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_exportpart ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_exportpart REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_exportpart ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_exportpart FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_exportpart ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_exportpart FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_exportpart ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_invitation REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('credentials', 'created_at');
ALTER TABLE public.accounts_invitation ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_invitation REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('credentials', 'created_at');
ALTER TABLE public.accounts_invitation ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_invitation REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('credentials');
ALTER TABLE public.accounts_invitation ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_invitation FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_invitation ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_invitation FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_invitation ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_ipassignment REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('network', 'assigned_at');
ALTER TABLE public.accounts_ipassignment ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_ipassignment REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('network', 'assigned_at');
ALTER TABLE public.accounts_ipassignment ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_ipassignment REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('network');
ALTER TABLE public.accounts_ipassignment ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_ipassignment FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_ipassignment ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_ipassignment FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_ipassignment ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_order REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('orders', 'placed_at');
ALTER TABLE public.accounts_order ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_order REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('orders', 'placed_at');
ALTER TABLE public.accounts_order ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_order REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('orders');
ALTER TABLE public.accounts_order ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_order FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_order ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_order FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_order ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_orderline REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('orders', 'placed_at');
ALTER TABLE public.accounts_orderline ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_orderline REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('orders', 'placed_at');
ALTER TABLE public.accounts_orderline ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_orderline REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('orders');
ALTER TABLE public.accounts_orderline ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_orderline FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_orderline ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_orderline FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_orderline ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_ordersignals REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('orders', 'noted_at');
ALTER TABLE public.accounts_ordersignals ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_ordersignals REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('orders', 'noted_at');
ALTER TABLE public.accounts_ordersignals ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_ordersignals REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('orders');
ALTER TABLE public.accounts_ordersignals ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_ordersignals FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_ordersignals ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_ordersignals FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_ordersignals ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_pagevisit REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('analytics', 'at');
ALTER TABLE public.accounts_pagevisit ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_pagevisit REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('analytics', 'at');
ALTER TABLE public.accounts_pagevisit ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_pagevisit REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('analytics');
ALTER TABLE public.accounts_pagevisit ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_pagevisit FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_pagevisit ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_pagevisit FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_pagevisit ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_restriction REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('consent', 'since');
ALTER TABLE public.accounts_restriction ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_restriction REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('consent', 'since');
ALTER TABLE public.accounts_restriction ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_restriction REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('consent');
ALTER TABLE public.accounts_restriction ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_restriction FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_restriction ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_restriction FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_restriction ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_suspension REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('services', 'placed_at');
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_suspension REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('services', 'placed_at');
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_suspension REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('services');
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_suspension FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_suspension FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_suspension ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_delete AFTER DELETE ON public.accounts_ticketnote REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_delete('support', 'created_at');
ALTER TABLE public.accounts_ticketnote ENABLE ALWAYS TRIGGER z_guard_delete;
CREATE TRIGGER z_guard_update AFTER UPDATE ON public.accounts_ticketnote REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION guard_update('support', 'created_at');
ALTER TABLE public.accounts_ticketnote ENABLE ALWAYS TRIGGER z_guard_update;
CREATE TRIGGER z_guard_insert AFTER INSERT ON public.accounts_ticketnote REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION guard_insert('support');
ALTER TABLE public.accounts_ticketnote ENABLE ALWAYS TRIGGER z_guard_insert;
CREATE TRIGGER z_guard_move BEFORE UPDATE OF account_id ON public.accounts_ticketnote FOR EACH ROW WHEN ((old.account_id IS DISTINCT FROM new.account_id)) EXECUTE FUNCTION guard_move();
ALTER TABLE public.accounts_ticketnote ENABLE ALWAYS TRIGGER z_guard_move;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.accounts_ticketnote FOR EACH STATEMENT EXECUTE FUNCTION guard_truncate();
ALTER TABLE public.accounts_ticketnote ENABLE ALWAYS TRIGGER z_guard_truncate;

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
      ) x LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'rows of % are left: not gone', left_over USING ERRCODE = 'PH003';
    END IF;
    RETURN NULL;
END $guard$;

------------------------------------------------------------------------------------------------ privacy requests

-- A request keeps what it is about; one that ended stays as it ended; cleaned up means without a word of the person.
CREATE FUNCTION public.guard_request() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.cleaned_xid := NULL;
        IF NEW.status NOT IN ('open', 'in_progress') OR NEW.cleaned_at IS NOT NULL OR NEW.code_tries <> 0 THEN
            RAISE EXCEPTION 'a privacy request begins open' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF OLD.cleaned_at IS NULL THEN
            RAISE EXCEPTION 'privacy request % is cleaned up before it is deleted', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN OLD;
    END IF;
    NEW.cleaned_xid := OLD.cleaned_xid;
    IF (NEW.id, NEW.reference, NEW.account_id, NEW."user", NEW."right", NEW.submission, NEW.received_at)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.account_id, OLD."user", OLD."right", OLD.submission, OLD.received_at) THEN
        RAISE EXCEPTION 'privacy request % keeps what it is about', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.status NOT IN ('open', 'in_progress') AND (NEW.status, NEW.reason, NEW.decided_at, NEW.decided_by)
       IS DISTINCT FROM (OLD.status, OLD.reason, OLD.decided_at, OLD.decided_by) THEN
        RAISE EXCEPTION 'privacy request % is %; that stays', OLD.id, OLD.status USING ERRCODE = 'PH003';
    END IF;
    IF OLD.verified_at IS NOT NULL AND (NEW.verified_at, NEW.verified_by) IS DISTINCT FROM (OLD.verified_at, OLD.verified_by) THEN
        RAISE EXCEPTION 'privacy request % stays verified', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.extended_at IS NOT NULL AND ((NEW.extended_at, NEW.extended_by, NEW.expected_by)
       IS DISTINCT FROM (OLD.extended_at, OLD.extended_by, OLD.expected_by)) THEN
        RAISE EXCEPTION 'privacy request % was extended once; that is all', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.code_tries < OLD.code_tries AND NEW.code_digest IS NOT DISTINCT FROM OLD.code_digest THEN
        RAISE EXCEPTION 'tries of the code of % are not taken back', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.cleaned_at IS NOT NULL AND NEW.cleaned_at IS DISTINCT FROM OLD.cleaned_at THEN
        RAISE EXCEPTION 'privacy request % stays cleaned up', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF NEW.cleaned_at IS NOT NULL AND (coalesce(NEW.name, NEW.email, NEW.email_digest, NEW.details, NEW.facts, NEW.agent,
       NEW.permission_name, NEW.permission, NEW.code_digest, NEW.extension_reason, NEW.decision) IS NOT NULL
       OR EXISTS (SELECT 1 FROM public.retention_requestmessage m WHERE m.request_id = NEW.id)) THEN
        RAISE EXCEPTION 'privacy request % still holds words of the person', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.cleaned_at IS NULL AND NEW.cleaned_at IS NOT NULL THEN
        NEW.cleaned_xid := pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_request BEFORE INSERT OR DELETE OR UPDATE ON public.retention_privacyrequest
    FOR EACH ROW EXECUTE FUNCTION public.guard_request();
ALTER TABLE public.retention_privacyrequest ENABLE ALWAYS TRIGGER z_guard_request;

-- A conversation stays while its request runs, and belongs to the request's account.
CREATE FUNCTION public.guard_request_message() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'message % stays as it was written', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF TG_OP = 'DELETE' THEN
        PERFORM 1 FROM public.retention_privacyrequest p WHERE p.id = OLD.request_id AND p.status IN ('open', 'in_progress');
        IF FOUND THEN
            RAISE EXCEPTION 'message % stays while its request runs', OLD.id USING ERRCODE = 'PH003';
        END IF;
        RETURN OLD;
    END IF;
    PERFORM 1 FROM public.retention_privacyrequest p
      WHERE p.id = NEW.request_id AND p.account_id IS NOT DISTINCT FROM NEW.account_id AND p.cleaned_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'message % belongs to no request that takes one', NEW.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_request_message BEFORE INSERT OR DELETE OR UPDATE ON public.retention_requestmessage
    FOR EACH ROW EXECUTE FUNCTION public.guard_request_message();
ALTER TABLE public.retention_requestmessage ENABLE ALWAYS TRIGGER z_guard_request_message;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.retention_privacyrequest
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_truncate();
ALTER TABLE public.retention_privacyrequest ENABLE ALWAYS TRIGGER z_guard_truncate;
CREATE TRIGGER z_guard_truncate BEFORE TRUNCATE ON public.retention_requestmessage
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_truncate();
ALTER TABLE public.retention_requestmessage ENABLE ALWAYS TRIGGER z_guard_truncate;

------------------------------------------------------------------------------------------------ key destruction

-- New ground: a request of somebody without an account was cleaned up by an earlier transaction.
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
                  AND pg_visible_in_snapshot(p.cleaned_xid::text::xid8, pg_current_snapshot())));
    SELECT minted || '|' || string_agg(p.subject::text || ':' || p.category, ',' ORDER BY p.subject, p.category)
      INTO message
      FROM (SELECT DISTINCT o.subject, c.category FROM public.safeguards_destructionorder o, unnest(o.categories) AS c(category)
             WHERE o.id = ANY(allowed)) p;
    token := sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(coalesce(message, ''), 'UTF8')));
    IF allowed IS NULL THEN
        token := NULL;
    END IF;
END $guard$;

------------------------------------------------------------------------------------------------ grants and the rest

-- The register of imports outlives the account: it says whom not to revive.
REVOKE UPDATE, DELETE ON accounts_importedclient FROM portal_runtime;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.accounts_importedclient
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.accounts_importedclient ENABLE ALWAYS TRIGGER z_guard_evidence;

-- Second factors go with their user, whoever deletes it.
DO $$
DECLARE
    there text;
BEGIN
    FOR there IN SELECT c.conname FROM pg_constraint c
                  WHERE c.conrelid = 'public.mfa_authenticator'::regclass AND c.contype = 'f' LOOP
        EXECUTE format('ALTER TABLE public.mfa_authenticator DROP CONSTRAINT %I', there);
    END LOOP;
END $$;
ALTER TABLE public.mfa_authenticator ADD CONSTRAINT mfa_authenticator_goes_with_its_user
    FOREIGN KEY (user_id) REFERENCES public.accounts_user (id) ON DELETE CASCADE;

-- Accounts that closed before these kinds of data existed: they end with the rest.
INSERT INTO public.retention_erasure (id, account_id, category, state, due_at, kept_for, counts, rows_shown, attempts, last_error)
SELECT gen_random_uuid(), a.id, c.category, 'due', a.due_at, '', '{}', 0, 0, ''
  FROM public.accounts_account a,
       unnest(ARRAY['network', 'orders', 'analytics', 'consent', 'business', 'confidential']) AS c(category)
 WHERE a.state = 'closed' AND NOT EXISTS (
    SELECT 1 FROM public.retention_erasure e
     WHERE e.account_id = a.id AND e.category = c.category AND e.state <> 'cancelled');
