/* SPDX-License-Identifier: MIT */
/* What of USB needs no device: descriptors, the ring of packets, verdicts, sysfs, acts apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/usb/usb.h"
#include "backend/usb/usb_descriptor.h"
#include "backend/usb/usb_faults.h"
#include "backend/usb/usb_queue.h"
#include "backend/usb/usb_sysfs.h"
#include "lib/priv/usb.h"
#include "tests/unit/folder.h"

/* ---- descriptors ---- */

#define DEVICE 18, 1, 0x00, 0x02, 2, 0, 0, 64, 0xdf, 0x20, 1, 0, 0x00, 0x02, 1, 2, 3, 1
#define CONFIGURATION 9, 2, 67, 0, 2, 1, 0, 0x80, 38
#define INTERFACE(number, setting, endpoints, class) \
	9, 4, number, setting, endpoints, class, 0, 0, 0
#define ENDPOINT(address, type, len) 7, 5, address, type, (len)&0xff, (len) >> 8, 0
#define FUNCTIONS 5, 0x24, 0, 0x10, 1, 4, 0x24, 2, 2, 5, 0x24, 6, 0, 1, 5, 0x24, 1, 1, 1
#define INTERRUPT 3
#define BULK 2

/* doc/protocol.md 1. */
static const uint8_t key[] = {
	DEVICE,
	CONFIGURATION,
	INTERFACE(0, 0, 1, 2),
	FUNCTIONS,
	ENDPOINT(0x82, INTERRUPT, 8),
	INTERFACE(1, 0, 2, 10),
	ENDPOINT(0x81, BULK, 64),
	ENDPOINT(0x03, BULK, 64),
};

static void
assert_is_key(const struct usb_endpoints *e)
{
	assert_int_equal(e->interfaces, 3);
	assert_int_equal(e->data_interface, 1);
	assert_int_equal(e->in, 0x81);
	assert_int_equal(e->out, 0x03);
	assert_int_equal(e->in_packet_len, 64);
}

static void
a_keys_endpoints_are_found(void **state)
{
	struct usb_endpoints e;

	(void)state;
	assert_true(usb_endpoints_find(key, sizeof(key), &e));
	assert_is_key(&e);
}

static void
descriptors_cut_short_at_each_length_are_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(key); len++) {
		struct usb_endpoints e;
		uint8_t *bytes = malloc(len + 1); /* so that a sanitizer sees a read too far */

		memcpy(bytes, key, len);
		assert_false(usb_endpoints_find(bytes, len, &e));
		free(bytes);
	}
}

static void
a_length_of_zero_ends_the_search(void **state)
{
	uint8_t bytes[sizeof(key)];
	struct usb_endpoints e;

	(void)state;
	memcpy(bytes, key, sizeof(key));
	bytes[18] = 0;
	assert_false(usb_endpoints_find(bytes, sizeof(bytes), &e));
	bytes[18] = 1;
	assert_false(usb_endpoints_find(bytes, sizeof(bytes), &e));
}

/* Whatever a gadget's controller numbers them, and in whatever order they come. */
static void
endpoints_of_other_numbers_are_found(void **state)
{
	static const uint8_t gadget[] = {
		DEVICE,
		CONFIGURATION,
		INTERFACE(4, 0, 2, 10),
		ENDPOINT(0x02, BULK, 512),
		ENDPOINT(0x85, BULK, 512),
		INTERFACE(5, 0, 1, 2),
		ENDPOINT(0x86, INTERRUPT, 8),
	};
	struct usb_endpoints e;

	(void)state;
	assert_true(usb_endpoints_find(gadget, sizeof(gadget), &e));
	assert_int_equal(e.interfaces, 0x30);
	assert_int_equal(e.data_interface, 4);
	assert_int_equal(e.in, 0x85);
	assert_int_equal(e.out, 0x02);
	assert_int_equal(e.in_packet_len, 512);
}

/* Of two interfaces, of which one has only half of it; of settings and configurations not in force.
 */
static void
only_a_pair_in_force_counts(void **state)
{
	static const uint8_t odd[] = {
		DEVICE,
		CONFIGURATION,
		INTERFACE(0, 0, 1, 10),
		ENDPOINT(0x84, BULK, 64),
		INTERFACE(1, 0, 0, 10),
		INTERFACE(1, 1, 2, 10),
		ENDPOINT(0x85, BULK, 64),
		ENDPOINT(0x05, BULK, 64),
		INTERFACE(2, 0, 2, 10),
		ENDPOINT(0x81, BULK, 64),
		ENDPOINT(0x03, BULK, 64),
		INTERFACE(3, 0, 2, 10),
		ENDPOINT(0x86, BULK, 32),
		ENDPOINT(0x06, BULK, 32),
	};
	static const uint8_t second[] = {
		DEVICE,
		CONFIGURATION,
		INTERFACE(0, 0, 0, 10),
		CONFIGURATION,
		INTERFACE(1, 0, 2, 10),
		ENDPOINT(0x81, BULK, 64),
		ENDPOINT(0x03, BULK, 64),
	};
	struct usb_endpoints e;

	(void)state;
	assert_true(usb_endpoints_find(odd, sizeof(odd), &e));
	assert_int_equal(e.interfaces, 0xf);
	assert_int_equal(e.data_interface, 2);
	assert_int_equal(e.in, 0x81);
	assert_int_equal(e.out, 0x03);
	assert_false(usb_endpoints_find(second, sizeof(second), &e));
}

static void
packets_without_a_length_do_not_count(void **state)
{
	static const uint8_t empty[] = {
		DEVICE,
		CONFIGURATION,
		INTERFACE(1, 0, 2, 10),
		ENDPOINT(0x81, BULK, 0),
		ENDPOINT(0x03, BULK, 64),
	};
	struct usb_endpoints e;

	(void)state;
	assert_false(usb_endpoints_find(empty, sizeof(empty), &e));
}

/* ---- the ring ---- */

/* Flies as many as will; returns how many. */
static unsigned
submit_all(struct usb_queue *q)
{
	unsigned slot, count = 0;

	while (usb_queue_submit(q, &slot))
		count++;
	return count;
}

static void
packets_are_given_in_the_order_of_their_transfers(void **state)
{
	struct usb_queue q = {0};
	unsigned slot, want = 0;
	size_t at, len;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		submit_all(&q);
		assert_int_equal(q.pending, USB_QUEUE_LEN);
		/* They complete in another order. */
		for (unsigned i = 0; i < USB_QUEUE_LEN; i++)
			usb_queue_complete(&q, (i * 5 + 3) % USB_QUEUE_LEN, 64);
		assert_int_equal(q.pending, 0);
		for (unsigned i = 0; i < USB_QUEUE_LEN; i++, want++) {
			assert_true(usb_queue_front(&q, &slot, &at, &len));
			assert_int_equal(slot, want % USB_QUEUE_LEN);
			assert_int_equal(len, 64);
			usb_queue_take(&q, len);
		}
		assert_false(usb_queue_front(&q, &slot, &at, &len));
	}
}

static void
a_packet_waits_for_those_before_it(void **state)
{
	struct usb_queue q = {0};
	unsigned slot;
	size_t at, len;

	(void)state;
	submit_all(&q);
	usb_queue_complete(&q, 1, 64);
	assert_false(usb_queue_front(&q, &slot, &at, &len));
	usb_queue_complete(&q, 0, 0); /* empty: passed over */
	assert_true(usb_queue_front(&q, &slot, &at, &len));
	assert_int_equal(slot, 1);
}

static void
bytes_not_taken_are_given_again_and_their_transfer_is_not_submitted(void **state)
{
	struct usb_queue q = {0};
	unsigned slot;
	size_t at, len;

	(void)state;
	submit_all(&q);
	usb_queue_complete(&q, 0, 64);
	assert_true(usb_queue_front(&q, &slot, &at, &len));
	usb_queue_take(&q, 40);
	assert_int_equal(submit_all(&q), 0);
	assert_true(usb_queue_front(&q, &slot, &at, &len));
	assert_int_equal(slot, 0);
	assert_int_equal(at, 40);
	assert_int_equal(len, 24);
	usb_queue_take(&q, 24);
	assert_false(usb_queue_front(&q, &slot, &at, &len));
	assert_int_equal(submit_all(&q), 1);
}

static void
a_transfer_that_could_not_be_submitted_is_next_again(void **state)
{
	struct usb_queue q = {0};
	unsigned first, again;

	(void)state;
	assert_true(usb_queue_submit(&q, &first));
	usb_queue_cancel(&q);
	assert_int_equal(q.pending, 0);
	assert_true(usb_queue_submit(&q, &again));
	assert_int_equal(again, first);
}

/* ---- verdicts ---- */

static void
each_end_of_a_transfer_has_its_verdict(void **state)
{
	static const struct {
		enum libusb_transfer_status status;
		enum usb_verdict verdict;
		int error;
	} cases[] = {
		{LIBUSB_TRANSFER_COMPLETED, USB_GO_ON, 0},
		{LIBUSB_TRANSFER_CANCELLED, USB_GO_ON, 0},
		{LIBUSB_TRANSFER_TIMED_OUT, USB_GO_ON, 0},
		{LIBUSB_TRANSFER_ERROR, USB_AGAIN, EPROTO},
		{LIBUSB_TRANSFER_OVERFLOW, USB_AGAIN, EOVERFLOW},
		{LIBUSB_TRANSFER_STALL, USB_UNHALT, EPIPE},
		{LIBUSB_TRANSFER_NO_DEVICE, USB_END, ENODEV},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct usb_faults f = {0};

		assert_int_equal(usb_faults_judge(&f, cases[i].status, 64), cases[i].verdict);
		assert_int_equal(f.error, cases[i].error);
		if (f.error != 0)
			assert_non_null(usb_error_text(f.error));
	}
}

static void
a_fault_that_stays_ends_the_key_after_longer_and_longer_pauses(void **state)
{
	struct usb_faults f = {0};
	unsigned pause_ms = 0, total_ms = 0;

	(void)state;
	for (unsigned i = 1; i < USB_FAULTS_MAX; i++) {
		assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_STALL, 0), USB_UNHALT);
		assert_true(f.pause_ms > pause_ms && f.pause_ms <= USB_PAUSE_MAX_MS);
		pause_ms = f.pause_ms;
		total_ms += pause_ms;
	}
	assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_STALL, 0), USB_END);
	assert_int_equal(f.error, EPIPE);
	assert_in_range(total_ms, 1000, 5000);
}

static void
a_byte_between_faults_forgives_them(void **state)
{
	struct usb_faults f = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_ERROR, 0), USB_AGAIN);
		assert_int_equal(f.pause_ms, USB_PAUSE_MIN_MS);
		assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_COMPLETED, 0), USB_GO_ON);
		assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_COMPLETED, 1), USB_GO_ON);
	}
}

/* Some keys end each frame with one. */
static void
empty_packets_between_others_cost_nothing(void **state)
{
	struct usb_faults f = {0};

	(void)state;
	for (unsigned i = 0; i < 10 * USB_EMPTY_MAX; i++)
		assert_int_equal(usb_faults_judge(&f, LIBUSB_TRANSFER_COMPLETED, i % 2 * 64),
				 USB_GO_ON);
}

static void
a_flood_of_empty_packets_is_slowed_down_and_never_ends_the_key(void **state)
{
	struct usb_faults f = {0};
	unsigned pauses = 0;

	(void)state;
	for (unsigned i = 1; i <= 100 * USB_EMPTY_MAX; i++) {
		enum usb_verdict verdict = usb_faults_judge(&f, LIBUSB_TRANSFER_COMPLETED, 0);

		assert_int_equal(verdict, i % USB_EMPTY_MAX == 0 ? USB_AGAIN : USB_GO_ON);
		pauses += verdict == USB_AGAIN;
	}
	assert_int_equal(pauses, 100);
	assert_int_equal(f.pause_ms, USB_PAUSE_MAX_MS);
}

/* ---- sysfs ---- */

struct folder {
	char path[FOLDER_MAX];
};

static int
make_folder(void **state)
{
	static struct folder f;

	*state = &f;
	return folder_make(f.path) ? 0 : -1;
}

static int
remove_folder(void **state)
{
	const struct folder *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", f->path);
	return system(command);
}

static void
attribute(const struct folder *f, const char *device, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->path, device);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", f->path, device, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	fclose(file);
}

static void
add_device(const struct folder *f, const char *name, const char *product, const char *device,
	   const char *serial)
{
	attribute(f, name, "idVendor", "20df");
	attribute(f, name, "idProduct", product);
	attribute(f, name, "busnum", "3");
	attribute(f, name, "devnum", device);
	if (serial != NULL)
		attribute(f, name, "serial", serial);
}

static void
keys_are_listed_and_nothing_else_is(void **state)
{
	const struct folder *f = *state;
	struct usb_address found[8];

	add_device(f, "3-1.4", "0001", "17", "M/tBF1IwMQA+AAAA");
	add_device(f, "3-1:1.0", "0001", "18", "INTERFACE");
	add_device(f, "usb3", "0001", "1", "ROOTHUB");
	add_device(f, "3-2", "0002", "19", "OTHERPRODUCT");
	add_device(f, "3-6", "0001", "x", "NODEVICE");
	attribute(f, "3-7", "serial", "NOTHINGELSE");
	assert_int_equal(usb_sysfs_list(f->path, found, 8), 1);
	assert_int_equal(found[0].bus, 3);
	assert_int_equal(found[0].device, 17);
	assert_string_equal(found[0].folder, "3-1.4");
	assert_int_equal(usb_sysfs_list(f->path, found, 0), 0);
	assert_int_equal(usb_sysfs_list("/nowhere", found, 8), 0);
}

/* The kernel holds its lock for as long as it resets the key: a fifo that nobody writes to. */
static void
list_does_not_wait_for_a_key_that_is_being_reset(void **state)
{
	const struct folder *f = *state;
	struct usb_address found[8];
	char path[128];

	add_device(f, "3-1", "0001", "17", NULL);
	snprintf(path, sizeof(path), "%s/3-1/serial", f->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(usb_sysfs_list(f->path, found, 8), 1);
}

static bool
identify(const struct folder *f, struct usb_identity *ret)
{
	const struct usb_address address = {.folder = "3-1"};
	struct helper helper;
	struct pollfd done;

	assert_int_equal(usb_sysfs_identify(f->path, &address, &helper), 0);
	done = (struct pollfd){.fd = helper.fd, .events = POLLIN};
	assert_int_equal(poll(&done, 1, 30000), 1);
	return priv_usb_identity(&helper, ret);
}

static void
key_is_identified_by_what_it_says_of_itself(void **state)
{
	const struct folder *f = *state;
	struct usb_identity id = {0};

	add_device(f, "3-1", "0001", "17", "M/tBF1IwMQA+AAAA");
	attribute(f, "3-1", "manufacturer", "Simtec\tElectronics\x7f");
	attribute(f, "3-1", "speed", "12");
	assert_true(identify(f, &id));
	assert_string_equal(id.serial, "M/tBF1IwMQA+AAAA");
	assert_string_equal(id.manufacturer, "Simtec?Electronics?");
	assert_string_equal(id.product, "");
	assert_string_equal(id.speed, "12");
}

static void
a_key_that_went_meanwhile_is_not_asked(void **state)
{
	const struct usb_address address = {.folder = "3-1"};
	struct helper helper;

	(void)state;
	assert_int_equal(usb_sysfs_identify("/nowhere", &address, &helper), -ENOENT);
	assert_int_equal(helper.fd, -1);
}

static void
a_key_that_is_being_reset_is_asked_apart_until_it_is_forgotten(void **state)
{
	const struct folder *f = *state;
	const struct usb_address address = {.folder = "3-1"};
	struct helper helper;
	struct pollfd end;
	char path[128];

	add_device(f, "3-1", "0001", "17", NULL);
	snprintf(path, sizeof(path), "%s/3-1/serial", f->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(usb_sysfs_identify(f->path, &address, &helper), 0);
	end = (struct pollfd){.fd = open(path, O_WRONLY | O_CLOEXEC), .events = 0};
	assert_true(end.fd >= 0); /* it is at it */
	assert_false(helper_is_idle(&helper));
	helper_stop(&helper);
	assert_int_equal(poll(&end, 1, 30000), 1); /* and is not any more */
	close(end.fd);
}

static void
key_without_a_good_serial_is_nobodys(void **state)
{
	const struct folder *f = *state;
	struct usb_identity id;
	char longer[USB_SERIAL_MAX + 2];

	memset(longer, 'A', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	add_device(f, "3-1", "0001", "17", NULL);
	assert_false(identify(f, &id));
	add_device(f, "3-1", "0001", "17", "A\tTAB");
	assert_false(identify(f, &id));
	add_device(f, "3-1", "0001", "17", longer);
	assert_false(identify(f, &id));
}

/* ---- what the log offers ---- */

/* Writes what the log says after `error` to ret. */
static void
offered(struct usb_key *of, int error, char ret[static 256])
{
	int fds[2], was = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	usb_offer_tty(of, error);
	dup2(was, STDERR_FILENO);
	close(was);
	close(fds[1]);
	len = read(fds[0], ret, 255);
	close(fds[0]);
	assert_true(len >= 0);
	ret[len] = '\0';
}

static void
trouble_on_usb_offers_the_tty_by_name_and_once(void **state)
{
	static const int none[] = {ENODEV, EACCES, EBUSY, ENOMEM};
	static const int trouble[] = {ENXIO, EPROTO, EPIPE, EOVERFLOW, ETIMEDOUT, ECONNRESET, EIO};
	char said[256];

	(void)state;
	for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++) {
		struct usb_key mine = {.identity.serial = "M/tBF1Iw/QA+AAAA"};

		for (size_t j = 0; j < sizeof(none) / sizeof(none[0]); j++) {
			offered(&mine, none[j], said);
			assert_string_equal(said, "");
		}
		offered(&mine, trouble[i], said);
		assert_non_null(strstr(said, "key M/tBF1Iw/QA+AAAA: "));
		assert_non_null(strstr(said, "address = /dev/entropykey/M_tBF1Iw_QA+AAAA\n"));
		offered(&mine, trouble[i], said);
		assert_string_equal(said, "");
	}
}

/* ---- acts ---- */

static void
an_act_is_done_apart_and_tells_how_it_went(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	for (int act = PRIV_USB_PROBE; act <= PRIV_USB_ATTACH; act++) {
		struct helper helper;
		struct pollfd done;

		assert_int_equal(priv_usb_start(&helper, null, (enum priv_usb_act)act, 1), 0);
		done = (struct pollfd){.fd = helper.fd, .events = POLLIN};
		assert_int_equal(poll(&done, 1, 30000), 1);
		assert_int_equal(priv_usb_result(&helper), -ENOTTY);
		assert_int_equal(helper.fd, -1);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and leaves us no child */
	assert_int_equal(errno, ECHILD);
	close(null);
}

static void
a_node_that_is_not_there_is_an_error(void **state)
{
	struct helper helper;
	struct pollfd done;

	(void)state;
	assert_int_equal(priv_open_usb(999, 999), -ENOENT);
	assert_int_equal(priv_usb_start_at(&helper, 999, 999, PRIV_USB_RESET, 0), 0);
	done = (struct pollfd){.fd = helper.fd, .events = POLLIN};
	assert_int_equal(poll(&done, 1, 30000), 1);
	assert_int_equal(priv_usb_result(&helper), -ENOENT);
}

static void
what_is_no_usb_node_cannot_be_claimed(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(priv_usb_claim(null, 0), -ENOTTY);
	close(null);
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(int argc, char **argv)
{
	static const struct helper_role *const roles[] = {&priv_usb_role, NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_keys_endpoints_are_found),
		cmocka_unit_test(descriptors_cut_short_at_each_length_are_refused),
		cmocka_unit_test(a_length_of_zero_ends_the_search),
		cmocka_unit_test(endpoints_of_other_numbers_are_found),
		cmocka_unit_test(only_a_pair_in_force_counts),
		cmocka_unit_test(packets_without_a_length_do_not_count),
		cmocka_unit_test(packets_are_given_in_the_order_of_their_transfers),
		cmocka_unit_test(a_packet_waits_for_those_before_it),
		cmocka_unit_test(
			bytes_not_taken_are_given_again_and_their_transfer_is_not_submitted),
		cmocka_unit_test(a_transfer_that_could_not_be_submitted_is_next_again),
		cmocka_unit_test(each_end_of_a_transfer_has_its_verdict),
		cmocka_unit_test(a_fault_that_stays_ends_the_key_after_longer_and_longer_pauses),
		cmocka_unit_test(a_byte_between_faults_forgives_them),
		cmocka_unit_test(empty_packets_between_others_cost_nothing),
		cmocka_unit_test(a_flood_of_empty_packets_is_slowed_down_and_never_ends_the_key),
		IN_FOLDER(keys_are_listed_and_nothing_else_is),
		IN_FOLDER(list_does_not_wait_for_a_key_that_is_being_reset),
		IN_FOLDER(key_is_identified_by_what_it_says_of_itself),
		cmocka_unit_test(a_key_that_went_meanwhile_is_not_asked),
		IN_FOLDER(a_key_that_is_being_reset_is_asked_apart_until_it_is_forgotten),
		IN_FOLDER(key_without_a_good_serial_is_nobodys),
		cmocka_unit_test(trouble_on_usb_offers_the_tty_by_name_and_once),
		cmocka_unit_test(what_is_no_usb_node_cannot_be_claimed),
		cmocka_unit_test(an_act_is_done_apart_and_tells_how_it_went),
		cmocka_unit_test(a_node_that_is_not_there_is_an_error),
	};

	(void)argc;
	helper_main(roles, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
