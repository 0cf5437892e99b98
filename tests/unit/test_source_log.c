/* SPDX-License-Identifier: MIT */
/* What the log says of a key: each change once, with its cause and its cure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/source_log.h"
#include "tests/unit/log_lines.h"

#define SERIAL "SIMULATEDKEY0001"
#define OTHER "SIMULATEDKEY0002"

static struct source_log l;
static int before;

static int
set_up(void **unused)
{
	(void)unused;
	l = (struct source_log){.name = "key", .address = "usb", .keyring_path = "/etc/keyring"};
	before = log_lines_begin();
	return 0;
}

static int
tear_down(void **unused)
{
	(void)unused;
	log_lines_end(before);
	return 0;
}

static void
a_session_is_told_once_however_often_its_key_changes(void **unused)
{
	(void)unused;
	source_log_state(&l, SESSION_RESETTING, "");
	source_log_state(&l, SESSION_IDENTIFIED, SERIAL);
	assert_int_equal(log_lines_count("\n"), 0);
	for (int i = 0; i < 3; i++) {
		source_log_state(&l, SESSION_KEYED, SERIAL);
		source_log_state(&l, SESSION_REKEYING, SERIAL);
	}
	assert_int_equal(log_lines_count("source key: key " SERIAL ": in session, entropy flows\n"),
			 1);
	assert_int_equal(log_lines_count("\n"), 1);
	source_log_state(&l, SESSION_KEYED, OTHER);
	assert_int_equal(log_lines_count("source key: key " OTHER ": in session, entropy flows\n"),
			 1);
}

static void
a_session_that_is_lost_is_told_once(void **unused)
{
	(void)unused;
	source_log_state(&l, SESSION_KEYED, SERIAL);
	source_log_state(&l, SESSION_RESETTING, SERIAL);
	source_log_state(&l, SESSION_RESETTING, SERIAL);
	assert_int_equal(log_lines_count("key " SERIAL ": no authentic frame comes"), 1);
	assert_int_equal(log_lines_count("\n"), 2);
	source_log_state(&l, SESSION_KEYED, SERIAL);
	assert_int_equal(log_lines_count("entropy flows"), 2);
}

static void
a_key_that_cannot_be_used_is_told_with_the_cure(void **unused)
{
	(void)unused;
	source_log_state(&l, SESSION_UNKNOWN_KEY, SERIAL);
	source_log_state(&l, SESSION_UNKNOWN_KEY, SERIAL);
	assert_int_equal(log_lines_count("is not in the keyring /etc/keyring: "), 1);
	source_log_state(&l, SESSION_WRONG_KEY, SERIAL);
	assert_int_equal(log_lines_count("in the keyring /etc/keyring is wrong: "), 1);
	assert_int_equal(log_lines_count("run: ekeyctl rekey " SERIAL "\n"), 2);
	assert_int_equal(log_lines_count("\n"), 2);
}

static void
an_alarm_names_the_key_or_its_address(void **unused)
{
	(void)unused;
	source_log_alarm(&l, "");
	assert_int_equal(log_lines_count("source key: usb is open, but no Entropy Key answers"), 1);
	source_log_alarm(&l, SERIAL);
	assert_int_equal(log_lines_count("source key: key " SERIAL " does not answer: "), 1);
	source_log_answers(&l, SERIAL);
	assert_int_equal(log_lines_count("source key: key " SERIAL " answers again\n"), 1);
}

static void
each_end_of_a_change_of_the_long_term_key_is_told(void **unused)
{
	(void)unused;
	source_log_rekey(&l, REKEY_RESETTING);
	assert_int_equal(log_lines_count("changing the key's long-term key, as ordered\n"), 1);
	source_log_rekey(&l, REKEY_UNLOCKING);
	source_log_rekey(&l, REKEY_ACCEPTED);
	source_log_rekey(&l, REKEY_CHANGING);
	assert_int_equal(log_lines_count("\n"), 1);
	source_log_rekey(&l, REKEY_CHANGED);
	assert_int_equal(log_lines_count("the long-term key is changed\n"), 1);
	for (enum rekey_state state = REKEY_REFUSED; state <= REKEY_ABANDONED; state++) {
		source_log_rekey(&l, state);
		assert_int_equal(log_lines_count(rekey_state_text(state)), 1);
	}
}

static void
a_change_of_health_is_told_with_its_cause(void **unused)
{
	struct intake intake = {.state = INTAKE_ACTIVE};

	(void)unused;
	source_log_health("key", &intake);
	assert_int_equal(log_lines_count("source key: healthy\n"), 1);
	intake.state = INTAKE_QUARANTINE;
	intake.cause = INTAKE_CAUSE_REPETITION;
	source_log_health("key", &intake);
	assert_int_equal(log_lines_count("; its bytes are not used\n"), 1);
	assert_int_equal(log_lines_count(intake_cause_text(INTAKE_CAUSE_REPETITION)), 1);
	intake.cause = INTAKE_CAUSE_BADNESS;
	intake.badness = '1';
	source_log_health("key", &intake);
	assert_int_equal(log_lines_count(telemetry_badness_text('1')), 1);
	assert_int_equal(log_lines_count("a power cycle clears its fail mode"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_told_once_however_often_its_key_changes),
		TEST(a_session_that_is_lost_is_told_once),
		TEST(a_key_that_cannot_be_used_is_told_with_the_cure),
		TEST(an_alarm_names_the_key_or_its_address),
		TEST(each_end_of_a_change_of_the_long_term_key_is_told),
		TEST(a_change_of_health_is_told_with_its_cause),
	};

	return cmocka_run_group_tests_name("source_log", tests, NULL, NULL);
}
